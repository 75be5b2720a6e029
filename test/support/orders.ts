import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createRegistry, monotonic, type Clock, type InvariantStore } from '../../src/index.js'

/** Long enough for a busy machine: nothing here is about how long an answer takes. */
const PATIENCE = 30_000
const HOUR = 3_600_000

interface Row {
  id: string
}

export interface OrdersOptions {
  /** Asks the database; gives the one value that it answers. */
  query: (sql: string) => Promise<string>
  sequence: string
  checks: readonly ('in band' | 'polled')[]
  store?: InvariantStore | undefined
  /** Between two polls, ms. */
  every?: number
  clock?: Clock
}

export type Orders = ReturnType<typeof orders>

/** A process that reads orders, and gives each new one its id from a sequence. */
export function orders({ query, sequence, checks, store, every = HOUR, clock }: OrdersOptions) {
  // The first poll comes late in its interval: what is seen before it was seen in band.
  const registry = createRegistry({ random: () => 0.9, defaults: { timeout: PATIENCE }, ...(clock && { clock }) })
  const kept = { timeout: PATIENCE, ...(store && { store }) }
  const polled = monotonic('order ids', () => query(`select last_value from ${sequence}`), { every, ...kept })
  const inBand = monotonic('order ids', { of: (row: Row) => row.id, ...kept })

  const database = registry.dependency('orders-db')
  const write = registry.dependency('orders-write', {
    dependsOn: ['orders-db'],
    ...(checks.includes('polled') && { invariants: [polled] }),
  })
  const nextRow = write.wrap(
    async (): Promise<Row> => ({ id: await query(`select nextval('${sequence}')`) }),
    checks.includes('in band') ? { name: 'next-id', invariant: inBand } : { name: 'next-id' },
  )
  return {
    registry,
    nextId: async () => Number((await nextRow()).id),
    read: database.wrap(async () => Number(await query('select count(*) from pg_sequences')), { name: 'read' }),
  }
}

/** What became of some calls. */
export interface Taken {
  given: number[]
  /** The codes of those that were refused, in order. */
  refused: string[]
}

/** So many callers at once, each of which calls so many times. */
export async function take(call: () => Promise<number>, callers: number, times = 1): Promise<Taken> {
  const taken: Taken = { given: [], refused: [] }
  const caller = async (): Promise<void> => {
    for (let i = 0; i < times; i++) {
      try {
        taken.given.push(await call())
      } catch (error) {
        taken.refused.push((error as { code?: string }).code ?? String(error))
      }
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return taken
}

/** One file for each key; never half of one. */
export function fileStore(directory: string): InvariantStore {
  const path = (key: string): string => join(directory, encodeURIComponent(key))
  return {
    get: async (key) => {
      try {
        return await readFile(path(key), 'utf8')
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      }
    },
    set: async (key, value) => {
      await writeFile(`${path(key)}.new`, value)
      await rename(`${path(key)}.new`, path(key))
    },
  }
}
