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

/** @param other on which a query is cancelled that nobody waits for any more */
export const queriesOn = (pool: Pool, other: Pool): Queries => {
  const ask = asking(pool, other)
  return {
    async article(id, signal) {
      // 50 ms: a page does more than look up one row.
      const text = 'select id, title, pg_sleep(0.05) from articles where id = $1'
      const [row] = await ask<Article>(signal, text, [id])
      return row
    },
    latest: (signal) => ask<Article>(signal, 'select id, title from articles order by id desc limit 5'),
    async saveComment(article, signal) {
      await ask(signal, 'insert into comments (article) values ($1)', [article])
    },
    async countComments(signal) {
      const [row] = await ask<{ count: string }>(signal, 'select count(*) from comments')
      return Number(row!.count)
    },
  }
}

/** pg knows no signals: the server is told, and the connection is given back once it has ended the query. */
const asking =
  (pool: Pool, other: Pool) =>
  async <Row extends QueryResultRow>(
    signal: AbortSignal | undefined,
    text: string,
    values: unknown[] = [],
  ): Promise<Row[]> => {
    if (signal === undefined) return (await pool.query<Row>(text, values)).rows
    const client = await pool.connect()
    let cancelling: Promise<unknown> | undefined
    const cancel = (): void => {
      const { processID } = client as unknown as { processID: number }
      cancelling = other.query('select pg_cancel_backend($1)', [processID])
    }
    try {
      signal.throwIfAborted()
      signal.addEventListener('abort', cancel, { once: true })
      return (await client.query<Row>(text, values)).rows
    } finally {
      signal.removeEventListener('abort', cancel)
      // Given back before that, the connection could have another's query cancelled.
      await cancelling
      client.release()
    }
  }
