import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Pool } from 'pg'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { ManualClock } from '../../src/testing.js'
import { orders, take, type Orders, type OrdersOptions, type Taken } from '../support/orders.js'
import { describeWith } from '../support/servers/describe-with.js'
import { startPostgres } from '../support/servers/postgres.js'
import type { Server } from '../support/servers/server.js'
import type { Answer, Ask } from './fixtures/writer.js'

/** Where the sequence stands in the backup. */
const BEHIND = 20

let server: Server
let pool: Pool
let sequences = 0

const query = async (text: string): Promise<string> =>
  (await pool.query<[string]>({ text, rowMode: 'array' })).rows[0]![0]

async function aSequence(): Promise<string> {
  const sequence = `order_ids_${++sequences}`
  await pool.query(`create sequence ${sequence}`)
  return sequence
}

/** Nothing fails, as when a backup is swapped in that has missed some increments. */
const set = (sequence: string, to: number): Promise<string> => query(`select setval('${sequence}', ${to})`)

function started(options: Omit<OrdersOptions, 'query'> & Partial<OrdersOptions>): Orders {
  const made = orders({ query, ...options })
  onTestFinished(() => made.registry.close())
  return made
}

/** Twenty callers at once, and the swap in their midst. */
async function swappedUnderLoad(sequence: string, { nextId }: Orders): Promise<Taken> {
  let given = 0
  let swapped: Promise<unknown> | undefined
  const next = async (): Promise<number> => {
    const id = await nextId()
    if (++given >= 200) swapped ??= set(sequence, BEHIND)
    return id
  }
  const taken = await take(next, 20, 40)
  await swapped
  return taken
}

const twice = (...taken: Taken[]): number => {
  const ids = taken.flatMap(({ given }) => given)
  return ids.length - new Set(ids).size
}

const refused = (times: number, code = 'ERR_UNAVAILABLE'): Taken => ({
  given: [],
  refused: Array<string>(times).fill(code),
})

describeWith('postgres', 'a sequence that is set back without any error', () => {
  beforeAll(async () => {
    server = await startPostgres()
    pool = new Pool({ connectionString: server.url, max: 10 })
    return async () => {
      await pool.end()
      await server.stop()
    }
  }, 90_000)

  it('gives ids out twice where nothing checks them, and nobody notices', async () => {
    const sequence = await aSequence()
    const unchecked = started({ sequence, checks: [] })
    const taken = await swappedUnderLoad(sequence, unchecked)
    expect(twice(taken)).toBeGreaterThan(0)
    expect([taken.refused, unchecked.registry.history()]).toEqual([[], []])
  })

  it('gives none out twice in band: the first bad one is withheld, writes are refused from then on, and reads go on', async () => {
    const sequence = await aSequence()
    const checked = started({ sequence, checks: ['in band', 'polled'] })
    const [taken, read] = await Promise.all([swappedUnderLoad(sequence, checked), take(checked.read, 2, 100)])
    expect(taken.given.length).toBeGreaterThanOrEqual(200)
    expect(twice(taken)).toBe(0)
    expect(taken.refused[0]).toBe('ERR_INVARIANT')
    expect(new Set(taken.refused)).toEqual(new Set(['ERR_INVARIANT', 'ERR_UNAVAILABLE']))
    expect(await take(checked.nextId, 5)).toEqual(refused(5))

    expect([read.refused, (await take(checked.read, 5)).refused]).toEqual([[], []])
    const { 'orders-db': database, 'orders-write': write } = checked.registry.snapshot()
    expect([database?.mode, write?.mode]).toEqual(['available', 'unavailable'])
    const [flip] = checked.registry.history('orders-write')
    expect(flip).toMatchObject({ kind: 'flip', mode: 'unavailable', cause: { kind: 'invariant' } })
    expect(flip?.cause.reason).not.toMatch(/\d/)
  })

  it('is acknowledged in vain until it has been repaired, and gives none out twice after it', async () => {
    const sequence = await aSequence()
    const checked = started({ sequence, checks: ['in band', 'polled'] })
    const before = await swappedUnderLoad(sequence, checked)
    expect(await checked.registry.acknowledge('orders-write')).toMatchObject({ holds: false })
    expect(await take(checked.nextId, 5)).toEqual(refused(5))

    await set(sequence, 1_000)
    expect(await checked.registry.acknowledge('orders-write')).toEqual({ holds: true, broken: [] })
    const after = await take(checked.nextId, 5, 4)
    expect([after.refused, after.given.length]).toEqual([[], 20])
    expect(twice(before, after)).toBe(0)
  })

  it('is found by polling alone within one interval, by when some ids have been given twice', async () => {
    const sequence = await aSequence()
    const clock = new ManualClock()
    const every = 60_000
    let asked: Promise<unknown> = Promise.resolve()
    const polling = started({
      sequence,
      checks: ['polled'],
      every,
      clock,
      query: (sql) => {
        const answer = query(sql)
        asked = answer
        return answer
      },
    })
    let flipped = Infinity
    polling.registry.on('flip', () => (flipped = clock.now()))
    /** In steps, so that what is asked in one of them is answered in it. */
    const pass = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 1_000) {
        await clock.advance(1_000)
        await asked
      }
    }
    const before = await take(polling.nextId, 20, 2)
    await pass(every)
    await set(sequence, BEHIND)
    const swapped = clock.now()
    const meanwhile = await take(polling.nextId, 2)
    expect([meanwhile.refused, twice(before, meanwhile)]).toEqual([[], 2])
    await pass(1.2 * every)
    // Give or take the tenth by which polls are off their time.
    expect(flipped - swapped).toBeLessThanOrEqual(1.1 * every)
    expect(polling.registry.snapshot()['orders-write']?.reason).toContain('order ids: the value went back')
    expect(await take(polling.nextId, 1)).toEqual(refused(1))
  })

  describe('and the process is another one', () => {
    const file = fileURLToPath(new URL('./fixtures/writer.ts', import.meta.url))

    async function aProcess(sequence: string, directory?: string) {
      const child = fork(file, [server.url, sequence, ...(directory === undefined ? [] : [directory])], {
        execArgv: ['--import', 'tsx'],
      })
      const exited = once(child, 'exit')
      const end = async (): Promise<void> => {
        child.kill('SIGKILL')
        await exited
      }
      onTestFinished(end)
      const ask = async (asked: Ask): Promise<Answer> => {
        const answered = once(child, 'message')
        child.send(asked)
        return ((await answered) as [Answer])[0]
      }
      return { ask, end }
    }

    async function aDirectory(): Promise<string> {
      const directory = await mkdtemp(join(tmpdir(), 'cofferdam-marks-'))
      onTestFinished(() => rm(directory, { recursive: true, force: true }))
      return directory
    }

    it('gives them out twice where nothing was kept', async () => {
      const sequence = await aSequence()
      const first = await aProcess(sequence)
      const before = await first.ask({ take: 50 })
      await first.end()
      await set(sequence, BEHIND)
      const second = await aProcess(sequence)
      expect(twice(before, await second.ask({ take: 10 }))).toBe(10)
    })

    it('withholds the first one too where the mark was kept, and refuses until it is acknowledged after the repair', async () => {
      const sequence = await aSequence()
      const directory = await aDirectory()
      const first = await aProcess(sequence, directory)
      const before = await first.ask({ take: 50 })
      expect(before.given).toHaveLength(50)
      await set(sequence, BEHIND)
      expect(await first.ask({ take: 1 })).toEqual(refused(1, 'ERR_INVARIANT'))
      expect(await first.ask({ take: 5 })).toEqual(refused(5))
      await first.end()

      const second = await aProcess(sequence, directory)
      expect((await second.ask({ take: 5 })).given).toEqual([])
      expect(await second.ask({ take: 5 })).toEqual(refused(5))
      expect(await second.ask({ acknowledge: 'ada' })).toMatchObject({ acknowledged: false })
      expect(await second.ask({ take: 5 })).toEqual(refused(5))

      await set(sequence, 1_000)
      expect(await second.ask({ acknowledge: 'ada' })).toMatchObject({ acknowledged: true })
      const after = await second.ask({ take: 20 })
      expect([after.refused, after.given.length, twice(before, after)]).toEqual([[], 20, 0])
    })
  })
})
