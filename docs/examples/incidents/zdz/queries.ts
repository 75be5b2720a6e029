import type { Pool, QueryResultRow } from 'pg'

export interface Article {
  id: number
  title: string
}

/** What the portal asks its database. Without a signal none of it ever gives up, as it was. */
export interface Queries {
  article: (id: number, signal?: AbortSignal) => Promise<Article | undefined>
  latest: (signal?: AbortSignal) => Promise<Article[]>
  /** The callback that each page makes once it has loaded. */
  saveComment: (article: number, signal?: AbortSignal) => Promise<void>
  countComments: (signal?: AbortSignal) => Promise<number>
}

export const queriesOn = (pool: Pool): Queries => ({
  async article(id, signal) {
    // 20 ms: a page does more than look up one row.
    const [row] = await ask<Article>(pool, 'select id, title, pg_sleep(0.02) from articles where id = $1', [id], signal)
    return row
  },
  latest: (signal) => ask<Article>(pool, 'select id, title from articles order by id desc limit 5', [], signal),
  async saveComment(article, signal) {
    await ask(pool, 'insert into comments (article) values ($1)', [article], signal)
  },
  async countComments(signal) {
    const [row] = await ask<{ count: string }>(pool, 'select count(*) from comments', [], signal)
    return Number(row!.count)
  },
})

/** pg knows no signals: a query that nobody waits for any more ends with its connection. */
async function ask<Row extends QueryResultRow>(
  pool: Pool,
  text: string,
  values: unknown[],
  signal: AbortSignal | undefined,
): Promise<Row[]> {
  if (signal === undefined) return (await pool.query<Row>(text, values)).rows
  const client = await pool.connect()
  if (signal.aborted) client.release()
  signal.throwIfAborted()
  const close = (): void => client.release(true)
  signal.addEventListener('abort', close, { once: true })
  try {
    return (await client.query<Row>(text, values)).rows
  } finally {
    signal.removeEventListener('abort', close)
    if (!signal.aborted) client.release()
  }
}
