import type { Pool } from 'pg'

/** Each writer's comments are in one of them, whatever page they are for. */
export const SHARDS = 4
/** Of a page's comments, the newest are shown. */
const SHOWN = 10

export interface Comment {
  id: number
  page: number
  author: number
  text: string
}

/** As `pg` gives it. */
type Row = Omit<Comment, 'id'> & { id: string }

export interface Page {
  page: number
  comments: Comment[]
}

const shards = Array.from({ length: SHARDS }, (_, shard) => `comments_${shard}`)
const everywhere = shards.map((shard) => `select id, page, author, text from ${shard}`).join(' union all ')

export async function createShards(pool: Pool): Promise<void> {
  for (const shard of shards)
    await pool.query(`create table ${shard} (id bigint primary key, page int, author int, text text)`)
  await pool.query('create table threads (posted bigserial, page int, comment bigint)')
  await pool.query('create index on threads (page, posted)')
  await pool.query('create table marks (key text primary key, value text)')
}

/** A unique index sees the comments of its own shard only; and old code doesn't look whether its insert succeeded. */
export async function saveComment(pool: Pool, { id, page, author, text }: Comment): Promise<void> {
  const insert = `insert into ${shards[author % SHARDS]!} values ($1, $2, $3, $4)`
  await pool.query(insert, [id, page, author, text]).catch(() => undefined)
  await pool.query('insert into threads (page, comment) values ($1, $2)', [page, id])
}

/** The page has the ids; each is looked for on all shards. */
export async function readPage(pool: Pool, page: number): Promise<Page> {
  const newest = 'select comment from threads where page = $1 order by posted desc limit $2'
  const ids = (await pool.query<{ comment: string }>(newest, [page, SHOWN])).rows.map(({ comment }) => comment)
  const found = await pool.query<Row>(`select * from (${everywhere}) c where id = any($1)`, [ids])
  const byId = new Map(found.rows.map((row) => [row.id, { ...row, id: Number(row.id) }]))
  return { page, comments: ids.flatMap((id) => byId.get(id) ?? []) }
}

/** What is there to be read. */
export async function allTexts(pool: Pool): Promise<Set<string>> {
  const { rows } = await pool.query<Comment>(everywhere)
  return new Set(rows.map(({ text }) => text))
}
