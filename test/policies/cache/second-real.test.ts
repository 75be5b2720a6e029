import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import KeyvMemcache from '@keyv/memcache'
import KeyvPostgres from '@keyv/postgres'
import KeyvRedis from '@keyv/redis'
import KeyvSqlite from '@keyv/sqlite'
import { Keyv } from 'keyv'
import pg from 'pg'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { SecondStore } from '../../../src/policies/cache/second-store.js'
import { settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { down, type Loads } from '../../support/loads.js'
import { keyOf, process as processWith, type Own } from '../../support/second-level.js'
import { describeWith } from '../../support/servers/describe-with.js'
import { startMemcached } from '../../support/servers/memcached.js'
import { startPostgres } from '../../support/servers/postgres.js'
import { startRedis } from '../../support/servers/redis.js'
import type { Server } from '../../support/servers/server.js'
import { SlowProxy } from '../../support/servers/slow-proxy.js'

interface Real extends Loads {
  /** Nothing is left to write. */
  idle: () => Promise<void>
}

/** A process whose dependency is never unavailable: here it is the store that fails. */
function process(keyv: Keyv, own: Own = {}, max = 1_000): Real {
  const rig = processWith(keyv, own, {
    circuit: { consecutiveFailures: false, minimumCalls: 10_000 },
    stale: { max },
  })
  return { ...rig, idle: () => SecondStore.of(rig.clock, keyv).writes.idle() }
}

const counts = ({ load }: Loads): Record<string, number> => load.cache.counts()

/** Real sockets take their time; the library's clock stands still meanwhile. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(2)
}

/** A live value that has reached the store. */
async function written(rig: Real, id: string, value: unknown): Promise<void> {
  await bringAnyhow(rig, id, value)
  await rig.idle()
}

/** Where the second level is asked first, its answer is waited for. */
async function bringAnyhow({ load, runs }: Loads, id: string, value: unknown): Promise<void> {
  const before = runs.length
  const result = load(id)
  await until(() => runs.length > before)
  runs.at(-1)!.open(value)
  await result
}

/** The store is down: how many of these keys, asked for one after the other, went live without the clock being moved. */
async function wentLiveAtOnce({ load, runs }: Loads, ids: string[]): Promise<number> {
  let count = 0
  for (const id of ids) {
    const before = runs.length
    const call = watch(load(id))
    await settle()
    if (runs.length === before) continue
    count++
    runs.at(-1)!.open(`live ${id}`)
    await settle()
    expect(call.value).toBe(`live ${id}`)
  }
  return count
}

/** A miss while the store is down: it goes live after 50 ms of the clock given, if not before. */
async function firstMiss({ clock, load, runs }: Loads): Promise<void> {
  const before = runs.length
  const call = watch(load('first miss'))
  await clock.advance(50)
  expect(runs).toHaveLength(before + 1)
  runs.at(-1)!.open('live')
  await settle()
  expect(call.value).toBe('live')
}

/** Time passes on the clock given, and calls come, until the store has been found well again. */
async function recovered(rig: Real): Promise<void> {
  let n = 0
  const answers = (): number => counts(rig)['secondHits']! + counts(rig)['secondMisses']!
  const [before, writes] = [answers(), counts(rig)['secondWritten']!]
  await until(async () => {
    await rig.clock.advance(40_000)
    const call = watch(rig.load(`again ${n++}`))
    await sleep(20)
    rig.runs.at(-1)?.open('live')
    await settle()
    expect(call.state).not.toBe('rejected')
    return answers() > before + 1 && counts(rig)['secondWritten']! > writes
  })
  await rig.idle()
}

const readThrough: Own = { freshFor: 1_000_000, staleFor: 1e10 }
const misses = ['m1', 'm2', 'm3', 'm4', 'm5', 'm6']

/** What holds of every store that is a server. */
function ofServer(start: () => Promise<Server>, connect: (server: { url: string }) => Keyv): void {
  const begin = async () => {
    const server = await start()
    onTestFinished(() => server.stop())
    return { server, keyv: () => opened(connect(server)) }
  }

  it('a value that one process has written another serves, with its age, until it is deleted or cleared', async () => {
    const { keyv } = await begin()
    const writer = process(keyv())
    for (const id of ['a', 'b', 'key with spaces', 'ключ', 'x'.repeat(500)])
      await written(writer, id, { id, image: Buffer.from(id) })
    // Only now: two that connect at once to an empty PostgreSQL may be in each other's way, as each creates its table.
    const reader = process(keyv())
    await reader.clock.advance(300)
    for (const id of ['a', 'b', 'key with spaces', 'ключ', 'x'.repeat(500)])
      expect(await recoverOf(reader, id)).toMatchObject({ value: { id, image: Buffer.from(id) }, age: 300 })
    await writer.clock.advance(300)
    writer.load.cache.delete('a')
    await writer.idle()
    const later = process(keyv())
    expect(await recoverOf(later, 'a')).toBe(down)
    expect(await recoverOf(later, 'b')).toMatchObject({ source: 'stale' })
    writer.load.cache.clear()
    await writer.idle()
    expect(await recoverOf(process(keyv()), 'b')).toBe(down)
  })

  it('kill -9 and an empty restart: calls go on, one waits 50 ms, newer values stay, and it is filled again', async () => {
    const { server, keyv } = await begin()
    const rig = process(keyv(), readThrough)
    await written(rig, 'a', 'held')
    await server.kill()
    expect(await rig.load.outcome('a')).toMatchObject({ value: 'held', source: 'fresh' })
    await firstMiss(rig)
    expect(await wentLiveAtOnce(rig, misses)).toBe(misses.length)
    expect(counts(rig)).toMatchObject({ secondFailures: expect.toSatisfy((n: number) => n >= 1) as number })
    await server.restart()
    await recovered(rig)
    expect(await rig.load.outcome('a')).toMatchObject({ value: 'held' })
    await written(rig, 'b', 'after')
    const reader = process(keyv(), readThrough)
    reader.clock.stepWall(rig.clock.wall() - reader.clock.wall())
    expect(await recoverOf(reader, 'b')).toMatchObject({ value: 'after', source: 'fresh' })
  })

  it('a store that hangs: one call waits 50 ms, the next nothing, writes nobody, and it is found again', async () => {
    const { server, keyv } = await begin()
    const rig = process(keyv(), readThrough)
    await written(rig, 'a', 'held')
    server.pause()
    await firstMiss(rig)
    expect(await wentLiveAtOnce(rig, misses)).toBe(misses.length)
    await rig.clock.advance(900)
    expect(await wentLiveAtOnce(rig, ['n1', 'n2'])).toBe(2)
    expect(await rig.load.outcome('a')).toMatchObject({ value: 'held', source: 'fresh' })
    expect(counts(rig)['secondFailures']).toBeGreaterThanOrEqual(1)
    server.resume()
    await recovered(rig)
  })

  it('replies that take 400 ms: one call waits 50 ms, the next nothing, and a late one replaces nothing newer', async () => {
    const { server, keyv } = await begin()
    const raw = keyv()
    await written(process(keyv(), readThrough), 'a', 'old')
    const proxy = await SlowProxy.before(server.port)
    onTestFinished(() => {
      proxy.stop()
    })
    const slow = opened(connect({ url: server.url.replace(`:${server.port}`, `:${proxy.port}`) }))
    const rig = process(slow, readThrough)
    await rig.clock.advance(100)
    await written(rig, 'c', 'held')
    proxy.delay = 400
    const call = watch(rig.load('a'))
    await rig.clock.advance(50)
    rig.last().open('new')
    await settle()
    expect(call.value).toBe('new')
    expect(await wentLiveAtOnce(rig, misses)).toBe(misses.length)
    expect(await rig.load.outcome('c')).toMatchObject({ value: 'held', source: 'fresh' })
    expect(counts(rig)['secondFailures']).toBe(1)
    // Slow as they are, the writes get there behind their callers, after the late reply of that read.
    await until(async () => ((await raw.get(keyOf('a'))) as { value: unknown }).value === 'new')
    expect(await rig.load.outcome('a')).toMatchObject({ value: 'new', source: 'fresh' })
    proxy.delay = 0
    await recovered(rig)
    expect(await rig.load.outcome('a')).toMatchObject({ value: 'new' })
    expect(await raw.get(keyOf('a'))).toMatchObject({ value: 'new' })
  })

  it('what comes back from an older dump replaces nothing newer, and is repaired by the next write', async () => {
    const { keyv } = await begin()
    const [store, raw] = [keyv(), keyv()]
    const rig = process(store, {}, 1)
    await written(rig, 'a', 'old')
    const dump: unknown = await raw.get(keyOf('a'))
    await rig.clock.advance(100)
    await written(rig, 'a', 'new')
    await raw.set(keyOf('a'), dump)
    expect(await rig.failing('a')).toBe('new')
    await written(rig, 'b', 'evicts a')
    expect(await recoverOf(rig, 'a')).toBe(down)
    expect(counts(rig)).toMatchObject({ secondOlder: 1 })
    await rig.clock.advance(100)
    await written(rig, 'a', 'newest')
    expect(await raw.get(keyOf('a'))).toMatchObject({ value: 'newest' })
  })
}

/** What a call is answered whose operation fails: an outcome, or the error. */
async function recoverOf({ load, runs }: Loads, id: string): Promise<unknown> {
  const before = runs.length
  const call = watch(load.outcome(id))
  await until(() => call.state !== 'pending' || runs.length > before)
  if (runs.length > before) runs.at(-1)!.fail(down)
  await until(() => call.state !== 'pending')
  return call.value ?? call.error
}

function opened(keyv: Keyv): Keyv {
  onTestFinished(() => void keyv.disconnect().catch(() => undefined))
  return keyv
}

describeWith('redis', '18. second level: a real Redis', () => {
  ofServer(startRedis, ({ url }) => new Keyv(new KeyvRedis(url)))

  it('restarted with an older dump of its own it brings nothing old back to who has seen newer', async () => {
    const server = await startRedis({ args: ['--dbfilename', 'dump.rdb'] })
    onTestFinished(() => server.stop())
    const rig = process(opened(new Keyv(new KeyvRedis(server.url))), { staleFor: 1e10 }, 1)
    await written(rig, 'a', 'old')
    const admin = createClient({ url: server.url })
    admin.on('error', () => undefined)
    await admin.connect()
    await admin.sendCommand(['SAVE'])
    await rig.clock.advance(100)
    await written(rig, 'a', 'new')
    admin.destroy()
    await server.kill()
    await server.restart()
    expect(await rig.failing('a')).toBe('new')
    await bringAnyhow(rig, 'b', 'evicts a')
    await until(async () => {
      await rig.clock.advance(40_000)
      expect(await recoverOf(rig, 'a')).toBe(down)
      return counts(rig)['secondOlder']! > 0
    })
    await until(async () => {
      await rig.clock.advance(40_000)
      await written(rig, 'a', 'newest')
      const reader = process(opened(new Keyv(new KeyvRedis(server.url))), { staleFor: 1e10 })
      await reader.clock.advance(rig.clock.now())
      return (await recoverOf(reader, 'a')) !== down
    })
  })
})

describeWith('memcached', '18. second level: a real memcached', () => {
  ofServer(startMemcached, ({ url }) => new Keyv(new KeyvMemcache(url, { logger: { log: () => undefined } } as never)))
})

describeWith('postgres', '18. second level: a real PostgreSQL', () => {
  // @keyv/postgres 2 keeps its pool to itself and doesn't listen to it: an idle connection that breaks would end the
  // process, and nobody but the app can listen in its place.
  const { Pool } = pg
  beforeAll(() => {
    pg.Pool = class extends Pool {
      constructor(options?: pg.PoolConfig) {
        super(options)
        this.on('error', () => undefined)
      }
    }
  })
  afterAll(() => {
    pg.Pool = Pool
  })

  ofServer(startPostgres, ({ url }) => new Keyv(new KeyvPostgres(url)))
})

describe('18. second level: a real SQLite', () => {
  const file = (): string => {
    const directory = mkdtempSync(join(tmpdir(), 'cofferdam-sqlite-'))
    onTestFinished(() => {
      rmSync(directory, { recursive: true, force: true })
    })
    return `sqlite://${join(directory, 'cache.sqlite')}`
  }

  it('a value that one process has written another serves', async () => {
    const uri = file()
    const writer = process(opened(new Keyv(new KeyvSqlite(uri))))
    await written(writer, 'a', { image: Buffer.from('x') })
    expect(await recoverOf(process(opened(new Keyv(new KeyvSqlite(uri)))), 'a')).toMatchObject({
      value: { image: Buffer.from('x') },
    })
  })

  it('a file that somebody has locked costs one call 50 ms at most, and no write is waited for', async () => {
    const uri = file()
    const rig = process(opened(new Keyv(new KeyvSqlite({ uri, busyTimeout: 100 }))), readThrough)
    await written(rig, 'a', 'held')
    const locker = new KeyvSqlite(uri)
    await locker.query('BEGIN EXCLUSIVE')
    await firstMiss(rig)
    expect(await wentLiveAtOnce(rig, misses)).toBe(misses.length)
    await locker.query('ROLLBACK')
    await locker.disconnect()
    await recovered(rig)
  })
})
