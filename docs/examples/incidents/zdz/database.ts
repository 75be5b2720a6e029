import { Pool } from 'pg'
import type { Server } from '../../../../test/support/servers/server.js'
import type { Started } from '../../replay/started.js'

export const ARTICLES = 20
/** As many connections as a pool of pg has by default. */
export const CONNECTIONS = 10

/** A portal's own database: two tables, and the pool of connections through which it reads both. */
export class PortalDatabase {
  readonly pool: Pool
  /** For what is to be done beside them. */
  readonly other: Pool
  /** Not the portal's: of the third-party package that upgrades its schema by itself. */
  readonly #upgrader: Pool

  private constructor(url: string, started: Started) {
    this.pool = poolTo(url, CONNECTIONS, started)
    this.other = poolTo(url, 1, started)
    this.#upgrader = poolTo(url, 1, started)
  }

  static async create(server: Server, name: string, started: Started): Promise<PortalDatabase> {
    const first = new Pool({ connectionString: server.url, max: 1 })
    await first.query(`create database ${name}`)
    await first.end()
    const database = new PortalDatabase(server.url.replace(/postgres$/, name), started)
    await database.#upgrader.query(`
      create table articles (id int primary key, title text not null);
      insert into articles select n, 'Article ' || n from generate_series(1, ${ARTICLES}) n;
      create table comments (id bigint generated always as identity, article int not null, at timestamptz default now());
      insert into comments (article) select n % ${ARTICLES} + 1 from generate_series(1, 20000) n`)
    // All connections there are, as in a server that has run for a while.
    await Promise.all(Array.from({ length: CONNECTIONS }, () => database.pool.query('select pg_sleep(0.1)')))
    return database
  }

  /** Locks the table of comments, changes it, and deletes from it one row at a time, for about so long. */
  async upgrade(seconds: number): Promise<void> {
    const client = await this.#upgrader.connect()
    try {
      await client.query('begin; alter table comments add column flags int not null default 0')
      const end = performance.now() + seconds * 1_000
      while (performance.now() < end)
        await client.query('delete from comments where id = (select min(id) from comments); select pg_sleep(0.02)')
      await client.query('commit')
    } finally {
      client.release()
    }
  }
}

function poolTo(connectionString: string, max: number, started: Started): Pool {
  const pool = new Pool({ connectionString, max, idleTimeoutMillis: 0 })
  // A connection that is idle when its server goes.
  pool.on('error', () => undefined)
  started.add({ stop: () => pool.end() })
  return pool
}
