import type { Pool } from 'pg'

/** As statement-based replication wants it: the statement is kept as it was written, to be executed elsewhere again. */
export async function createMaster(pool: Pool, from: number): Promise<void> {
  await createBackup(pool, from)
  await pool.query('create table statements (number bigserial primary key, sql text)')
  await pool.query(`create function keep_statement() returns trigger language plpgsql as
    $$ begin insert into statements (sql) values (current_query()); return null; end $$`)
  await pool.query(`create trigger kept after update on sequences
    for each statement execute function keep_statement()`)
}

export async function createBackup(pool: Pool, from: number): Promise<void> {
  await pool.query('create table sequences (name text primary key, value bigint)')
  await pool.query(`insert into sequences values ('comments', ${from})`)
}

/** Digits, as `pg` gives a bigint. */
export const nextId = (pool: Pool): Promise<string> =>
  valueOf(pool, `update sequences set value = value + 1 where name = 'comments' returning value`)

export const readSequence = (pool: Pool): Promise<string> =>
  valueOf(pool, `select value from sequences where name = 'comments'`)

/** By a large number, so that nobody has to know how far it is behind. */
export const raiseSequence = (pool: Pool, by: number): Promise<string> =>
  valueOf(pool, `update sequences set value = value + ${by} where name = 'comments' returning value`)

async function valueOf(pool: Pool, sql: string): Promise<string> {
  const { rows } = await pool.query<{ value: string }>(sql)
  return rows[0]!.value
}
