import { describe, expect, test } from 'vitest'
import { gather } from '../../../src/request/gather.js'
import { settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { FakeKeyv } from '../../support/fake-keyv.js'
import { down, type Loads } from '../../support/loads.js'
import { bring, process, type Own } from '../../support/second-level.js'

/** A store in which another process has put a value of `age`. */
async function filled(value: unknown = 'theirs', own: Own = {}, age = 0): Promise<FakeKeyv> {
  const store = new FakeKeyv()
  const other = process(store, own)
  other.clock.stepWall(-age)
  await bring(other, 'a', value)
  return store
}

describe('18. second level: reading', () => {
  test('in read-through, what another process has fresh is served with its age, and nothing goes live', async () => {
    const { load, runs } = process(await filled('theirs', {}, 400), { freshFor: 1_000 })
    expect(await load.outcome('a')).toEqual({ value: 'theirs', source: 'fresh', stale: false, age: 400 })
    expect(runs).toHaveLength(0)
    expect(load.cache.counts()).toMatchObject({ secondHits: 1, fresh: 1 })
  })

  test('once read it is in the first level', async () => {
    const store = await filled()
    const { load } = process(store, { freshFor: 1_000 })
    await load('a')
    const before = store.gets.length
    expect(await load.outcome('a')).toMatchObject({ value: 'theirs', source: 'fresh' })
    expect(store.gets).toHaveLength(before)
  })

  test('in read-through, what is stale there does not keep the call from going live, and is served when that fails', async () => {
    const store = await filled('theirs', {}, 2_000)
    const { load, runs, last } = process(store, { freshFor: 1_000 })
    const outcome = watch(load.outcome('a'))
    await settle()
    expect(runs).toHaveLength(1)
    const before = store.gets.length
    last().fail(down)
    await settle()
    expect(outcome.value).toEqual({ value: 'theirs', source: 'stale', stale: true, age: 2_000, error: down })
    expect(store.gets).toHaveLength(before)
  })

  test('in fallback-only it is asked when the live call has failed, and not before', async () => {
    const store = await filled('theirs', {}, 300)
    const { load, last } = process(store)
    const before = store.gets.length
    const outcome = load.outcome('a')
    await settle()
    expect(store.gets).toHaveLength(before)
    last().fail(down)
    expect(await outcome).toEqual({ value: 'theirs', source: 'stale', stale: true, age: 300, error: down })
  })

  test.each<[string, (rig: Loads) => void, string]>([
    [
      'unavailable',
      ({ registry }) => {
        registry.setMode('feed', 'unavailable', { reason: 'test' })
      },
      'ERR_UNAVAILABLE',
    ],
    ['full', ({ load }) => void watch(load('other')), 'ERR_BULKHEAD_FULL'],
  ])('a dependency that is %s means what the second level has', async (_, make, code) => {
    const rig = process(await filled(), {}, { bulkhead: { slots: 1, queue: 0 } })
    make(rig)
    expect(await rig.load.outcome('a')).toMatchObject({ value: 'theirs', source: 'stale', error: { code } })
  })

  test.each<[string, Own]>([
    ['in fallback-only', {}],
    ['in read-through', { freshFor: 50 }],
  ])('4. at once: %s a first-level value is served in the same turn, with no timer and no read', async (_, own) => {
    const store = new FakeKeyv()
    const rig = process(store, own)
    const { clock, registry, load } = rig
    await bring(rig, 'a', 'mine')
    await clock.advance(100)
    registry.setMode('feed', 'unavailable', { reason: 'test' })
    store.mode = 'hangs'
    const [reads, timers] = [store.gets.length, clock.pending()]
    const outcome = watch(load.outcome('a'))
    expect(clock.pending()).toBe(timers)
    await settle()
    expect(outcome.value).toMatchObject({ value: 'mine', source: 'stale', age: 100 })
    expect(store.gets).toHaveLength(reads)
  })

  test('a fallback comes after it, and the original error after both', async () => {
    const empty = new FakeKeyv()
    expect(await process(empty, { fallback: { value: 'last' } }).failing('a')).toBe('last')
    expect(await process(await filled(), { fallback: { value: 'last' } }).failing('a')).toBe('theirs')
    expect(await process(empty).failing('a')).toBe(down)
  })

  test('staleFor is not lengthened by it: what is past it is not served', async () => {
    const store = await filled('theirs', {}, 999)
    const young = process(store, { staleFor: 1_000 })
    expect(await young.failing('a')).toBe('theirs')
    await young.clock.advance(1)
    expect(await young.failing('a')).toBe(down)
    const late = process(store, { staleFor: 999 })
    expect(await late.failing('a')).toBe(down)
    expect(late.load.cache.counts()).toMatchObject({ secondHits: 0, secondMisses: 1 })
  })

  test('concurrent reads of one key share one, also of different callers of a failed call', async () => {
    const store = await filled()
    const { load } = process(store, { freshFor: 1_000 })
    const before = store.gets.length
    expect(await Promise.all([load('a'), load('a'), load('a')])).toEqual(['theirs', 'theirs', 'theirs'])
    expect(store.gets.slice(before)).toEqual(['cofferdam:1:feed:load:p:a', 'cofferdam:1:feed:load:@cleared'])
    expect(load.cache.counts()).toMatchObject({ secondHits: 1, fresh: 3 })
  })

  test('when it has nothing, callers of one key still share one live call', async () => {
    const { load, runs } = process(new FakeKeyv(), { freshFor: 1_000 })
    const results = Promise.all([load('a'), load('a')])
    await settle()
    expect(runs).toHaveLength(1)
    runs[0]!.open('live')
    expect(await results).toEqual(['live', 'live'])
    expect(load.cache.counts()).toMatchObject({ secondMisses: 1, joined: 1 })
  })

  test('what came live while it was read, and is newer, wins', async () => {
    const store = await filled('theirs', {}, 500)
    const { load, runs } = process(store)
    const live = load('a')
    const failed = load('a')
    store.mode = 'hangs'
    runs[1]!.fail(down)
    await settle()
    runs[0]!.open('mine')
    await live
    store.release()
    expect(await failed).toBe('mine')
  })

  test('10. versions: what is older there than something served before is ignored and counted', async () => {
    const store = await filled('old')
    const [dump] = store.data.values()
    const mine = process(store, {}, { stale: { max: 1 } })
    await mine.clock.advance(1_000)
    await bring(mine, 'a', 'new')
    await bring(mine, 'b', 'evicts a')
    store.data.set('cofferdam:1:feed:load:p:a', dump!)
    expect(await mine.failing('a')).toBe(down)
    expect(mine.load.cache.counts()).toMatchObject({ secondOlder: 1, secondHits: 0 })
  })

  test('10. versions: one of a lower version than something known is ignored, and told of as olderValue', async () => {
    const own: Own = { version: (value) => (value as { v: number }).v }
    const store = await filled({ v: 2 }, own)
    const reader = process(store, own, { stale: { max: 1 } })
    const told: unknown[] = []
    reader.registry.on('olderValue', (event) => told.push(event))
    expect(await reader.failing('a')).toEqual({ v: 2 })
    await reader.clock.advance(100)
    await bring(reader, 'b', { v: 0 })
    const key = 'cofferdam:1:feed:load:p:a'
    const envelope = JSON.parse(store.data.get(key)!) as { start: number }
    store.data.set(key, JSON.stringify({ ...envelope, start: envelope.start + 50, value: { v: 1 }, version: { n: 1 } }))
    expect(await reader.failing('a')).toBe(down)
    expect(told).toEqual([{ dependency: 'feed', operation: 'load' }])
  })

  test('a call in flight that began before what was read there does not replace it', async () => {
    const store = new FakeKeyv()
    const other = process(store)
    const { clock, load, runs, failing } = process(store)
    const early = load('a')
    await Promise.all([clock.advance(100), other.clock.advance(100)])
    await bring(other, 'a', 'newer')
    expect(await failing('a')).toBe('newer')
    runs[0]!.open('older')
    expect(await early).toBe('older')
    expect(await failing('a')).toBe('newer')
    expect(load.cache.counts()).toMatchObject({ older: 1 })
  })

  test('a call in flight that began after it does', async () => {
    const { load, runs, failing, clock } = process(await filled('theirs', {}, 1_000))
    const live = load('a')
    await clock.advance(10)
    expect(await failing('a')).toBe('theirs')
    runs[0]!.open('mine')
    await live
    expect(await failing('a')).toBe('mine')
  })

  test.each<[string, (envelope: Record<string, unknown>) => unknown]>([
    ['torn', () => ({ v: 1, writer: 'x' })],
    ['somebody else’s', () => 'plain text'],
    ['of another format', (envelope) => ({ ...envelope, v: 99 })],
    ['from a clock a minute ahead', (envelope) => ({ ...envelope, start: (envelope['start'] as number) + 60_000 })],
  ])('what is %s is a miss, and counted', async (_, change) => {
    const store = await filled()
    store.tamper(change)
    const { failing, load } = process(store)
    expect(await failing('a')).toBe(down)
    expect(load.cache.counts()).toMatchObject({ secondForeign: 1, secondMisses: 1, secondFailures: 0 })
  })

  test('a clock a little ahead does not give a negative age', async () => {
    const store = await filled()
    store.tamper((envelope) => ({ ...envelope, start: (envelope['start'] as number) + 5_000 }))
    const { load } = process(store, { freshFor: 1_000 })
    expect(await load.outcome('a')).toMatchObject({ value: 'theirs', age: 0 })
  })

  test('null and undefined are values there too', async () => {
    for (const value of [null, undefined]) {
      const store = new FakeKeyv()
      await bring(process(store), 'a', value)
      expect(await process(store).failing('a')).toBe(value)
    }
  })

  test('freeze freezes what comes from there', async () => {
    const { failing } = process(await filled({ a: 1 }), { freeze: true })
    expect(Object.isFrozen(await failing('a'))).toBe(true)
  })

  test('what is larger than maxBytes passes by: it is not kept, and the call goes on', async () => {
    const { load, runs, last } = process(
      await filled('x'.repeat(100)),
      { freshFor: 1_000 },
      { stale: { maxBytes: 50 } },
    )
    const result = load('a')
    await settle()
    expect(runs).toHaveLength(1)
    last().open('short')
    expect(await result).toBe('short')
  })

  test('a caller who leaves while it is read is let go at once, and the others are served', async () => {
    const store = await filled()
    store.mode = 'hangs'
    const { load } = process(store, { freshFor: 1_000 })
    const leaving = new AbortController()
    const one = watch(load.with({ signal: leaving.signal })('a'))
    const other = load('a')
    await settle()
    leaving.abort(new Error('left'))
    await settle()
    expect(one.error).toMatchObject({ message: 'left' })
    store.release()
    expect(await other).toBe('theirs')
  })

  test('a caller with less time than 50 ms waits no longer than it has', async () => {
    const store = await filled()
    store.mode = 'hangs'
    const { clock, load } = process(store, { freshFor: 1_000 })
    const hurried = watch(load.with({ total: 20 })('a'))
    await clock.advance(20)
    expect(hurried.error).toMatchObject({ code: 'ERR_DEADLINE' })
  })

  test('the time spent on it is taken from the call’s: what joins then keeps to the deadline', async () => {
    const store = new FakeKeyv()
    store.mode = 'hangs'
    const { clock, load } = process(store, { freshFor: 1_000 })
    const call = watch(load.with({ total: 60 })('a'))
    await clock.advance(59)
    expect(call.state).toBe('pending')
    await clock.advance(1)
    expect(call.error).toMatchObject({ code: 'ERR_DEADLINE' })
  })

  test('the time spent on it is not the dependency’s: its own timeout counts from the start of its operation', async () => {
    const store = new FakeKeyv()
    store.mode = 'hangs'
    const { clock, load, runs, dependency } = process(store, { freshFor: 1_000, timeout: 100, coalesce: false })
    const call = watch(load('a'))
    await clock.advance(50)
    expect(runs).toHaveLength(1)
    await clock.advance(99)
    expect(call.state).toBe('pending')
    runs[0]!.open('live')
    await settle()
    expect(call.value).toBe('live')
    expect(dependency.health().counts.timeouts).toBe(0)
  })

  test.each<[string, Own]>([
    ['before a live call', { freshFor: 1_000 }],
    ['after a failed one', {}],
  ])('when the time of a gather ends while it is read %s, the fallback is served in that turn', async (_, own) => {
    const store = await filled()
    const rig = process(store, { ...own, fallback: { value: 'last' } })
    const { clock, load, runs } = rig
    const all = watch(
      gather(
        () => {
          store.mode = 'hangs'
          const part = load('a')
          runs[0]?.fail(down)
          return { part }
        },
        { within: 20, clock },
      ),
    )
    await clock.advance(20)
    expect(all.value).toEqual({ values: { part: 'last' }, missing: {} })
    expect(clock.pending({ referenced: true })).toBeLessThanOrEqual(1)
    store.release()
    await settle()
    expect(rig.reported).toEqual([])
  })

  test('after the deadline it is not asked any more', async () => {
    const store = await filled()
    const { clock, load } = process(store, { timeout: 10_000 })
    const call = watch(load.with({ total: 100 })('a'))
    const before = store.gets.length
    await clock.advance(100)
    expect(call.error).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(store.gets).toHaveLength(before)
  })
})
