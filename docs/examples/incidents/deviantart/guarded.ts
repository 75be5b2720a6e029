import { createPool, createRegistry, drift, monotonic, type InvariantStore, type Registry } from 'cofferdam'
import type { Pool } from 'pg'
import type { SiteDatabases } from './databases.js'
import { nextId, readSequence } from './sequences.js'
import type { Data } from './site.js'
import { readPage, saveComment, type Comment } from './tables.js'

/** Nothing here is about how long an answer takes, and the machine may be busy. */
const PATIENCE = 10_000
/** What replication may be behind while all is well: it takes up the statements ten times a second. */
const AHEAD_AT_MOST = 20

export function guarded({ shards, master, backup, ids }: SiteDatabases): { registry: Registry; data: Data } {
  const registry = createRegistry({ defaults: { timeout: PATIENCE, circuit: { slowCall: PATIENCE } } })
  // One server, so one pool of slots; but reads are one dependency and writes another.
  const pool = createPool({ name: 'shards', slots: 10 })
  const pages = registry.dependency('pages', { bulkhead: { pool } })

  const kept = { store: marksIn(shards), timeout: PATIENCE }
  const sequence = registry.dependency('sequence', {
    tags: ['writes'],
    invariants: [monotonic('comment ids', () => readSequence(ids()), kept)],
  })
  const comments = registry.dependency('comments', {
    bulkhead: { pool },
    tags: ['writes'],
    dependsOn: ['sequence', 'pages'],
  })
  // Nobody calls it: it is watched because it is to take over one day.
  registry.dependency('backup', {
    invariants: [
      drift(
        'comment ids',
        () => readSequence(master),
        () => readSequence(backup),
        { atMost: AHEAD_AT_MOST, every: 1_000, timeout: PATIENCE },
      ),
    ],
  })

  const data: Data = {
    nextId: sequence.wrap(() => nextId(ids()), {
      name: 'next-id',
      idempotent: false,
      invariant: monotonic('comment ids', kept),
    }),
    saveComment: comments.wrap((_context, comment: Comment) => saveComment(shards, comment), {
      name: 'save-comment',
      idempotent: false,
    }),
    readPage: pages.wrap((_context, page: number) => readPage(shards, page), { name: 'read-page' }),
  }
  return { registry, data }
}

/** On another server than the values that they vouch for. */
const marksIn = (pool: Pool): InvariantStore => ({
  get: async (key) => {
    const { rows } = await pool.query<{ value: string }>('select value from marks where key = $1', [key])
    return rows[0]?.value
  },
  set: (key, value) =>
    pool.query('insert into marks values ($1, $2) on conflict (key) do update set value = $2', [key, value]),
})
