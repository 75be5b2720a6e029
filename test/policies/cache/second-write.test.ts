import { describe, expect, test } from 'vitest'
import { settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { FakeKeyv } from '../../support/fake-keyv.js'
import { down } from '../../support/loads.js'
import { bring, keyOf, process } from '../../support/second-level.js'

describe('18. second level: writing', () => {
  test('a live value is written with the start of its call, by wall time, and its writer', async () => {
    const store = new FakeKeyv()
    const { clock, load, runs } = process(store, { version: () => 7 })
    const began = clock.wall()
    const result = load('a')
    await clock.advance(300)
    runs[0]!.open({ a: 1 })
    await result
    await settle()
    expect(store.only).toEqual({
      v: 1,
      writer: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      start: began,
      value: { a: 1 },
      version: { n: 7 },
    })
    expect(load.cache.counts()).toMatchObject({ secondWritten: 1 })
  })

  test('the ttl is what is left of staleFor, a whole number, and never below a second', async () => {
    for (const [took, ttl] of [
      [0, 5_000],
      [1_000, 4_000],
      [4_500, 1_000],
      [4_999, 1_000],
    ] as const) {
      const store = new FakeKeyv()
      const { clock, load, runs } = process(store, { staleFor: 5_000, timeout: 10_000 })
      const result = load('a')
      await clock.advance(took)
      runs[0]!.open('value')
      await result
      await settle()
      expect(store.sets.map((set) => set.ttl)).toEqual([ttl])
    }
  })

  test('what is past staleFor when it comes is not written', async () => {
    const store = new FakeKeyv()
    const { clock, load, runs } = process(store, { staleFor: 1_000, timeout: 10_000 })
    const result = load('a')
    await clock.advance(1_000)
    runs[0]!.open('value')
    await result
    await settle()
    expect(store.sets).toEqual([])
  })

  test('a ttl is at most 30 days, which memcached takes for a date when it is longer', async () => {
    const store = new FakeKeyv()
    await bring(process(store, { staleFor: 1e11 }), 'a', 1)
    expect(store.sets[0]!.ttl).toBe(30 * 86_400_000)
  })

  test('nobody waits for a write: with a hung store a call ends with its operation', async () => {
    const store = new FakeKeyv()
    store.mode = 'hangs'
    const { load, runs, clock } = process(store)
    const result = watch(load('a'))
    runs[0]!.open('live')
    await settle()
    expect(result.value).toBe('live')
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  test('of several values of a key that wait only the latest is written', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    store.mode = 'hangs'
    for (const value of [1, 2, 3]) {
      await bring(rig, 'a', value)
      await rig.clock.advance(1)
    }
    store.release()
    await settle()
    expect(store.sets.map(({ value }) => value['value'])).toEqual([3])
  })

  test('few are written at once, and those that are too many are dropped, the oldest first, and counted', async () => {
    const store = new FakeKeyv()
    const rig = process(store, {}, { stale: { max: 5_000 } })
    store.mode = 'hangs'
    for (let i = 0; i < 1_010; i++) await bring(rig, `k${i}`, i)
    expect(store.hung).toHaveLength(4)
    expect(rig.load.cache.counts()).toMatchObject({ secondDropped: 6, secondWritten: 0 })
    store.release()
    await settle()
    await rig.clock.advance(0)
    expect(store.data.size).toBe(1_004)
    expect([store.data.has(keyOf('k4')), store.data.has(keyOf('k10'))]).toEqual([false, true])
  })

  test('a store that takes nothing within 1 s is left alone for a while; values are dropped, and nothing piles up', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    store.mode = 'hangs'
    await bring(rig, 'a', 1)
    await rig.clock.advance(1_000)
    for (let i = 0; i < 100; i++) await bring(rig, `k${i}`, i)
    expect(store.hung).toHaveLength(1)
    expect(rig.load.cache.counts()).toMatchObject({ secondFailures: 1, secondDropped: 101 })
    store.release()
    await rig.clock.advance(1_000)
    await bring(rig, 'b', 'after')
    expect(store.only).toMatchObject({ value: 'after' })
  })

  test('what a write that was given up does late is not followed by more, and the next of its key waits for it', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    store.mode = 'hangs'
    await bring(rig, 'a', 'old')
    await rig.clock.advance(3_000)
    store.mode = 'works'
    await bring(rig, 'a', 'new')
    expect(store.sets).toEqual([])
    store.release()
    await settle()
    expect(store.sets.map(({ value }) => value['value'])).toEqual(['new'])
  })

  test('a value that its serializer can’t take, or that the store declines, is counted, told of, and holds up no other', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    await bring(rig, 'a', 1n)
    await bring(rig, 'b', 'good')
    store.mode = 'takes nothing'
    await bring(rig, 'c', 'declined')
    expect(rig.reported).toHaveLength(2)
    expect(rig.load.cache.counts()).toMatchObject({ secondFailures: 2, secondWritten: 1, secondDropped: 0 })
    expect(store.only).toMatchObject({ value: 'good' })
  })

  test('10. versions: an older value never replaces a newer one that another process wrote', async () => {
    const store = new FakeKeyv()
    const [mine, other] = [process(store), process(store)]
    const early = mine.load('a')
    await Promise.all([mine.clock.advance(10), other.clock.advance(10)])
    await bring(other, 'a', 'newer')
    mine.last().open('older')
    await early
    await settle()
    expect(store.only).toMatchObject({ value: 'newer' })
    expect(mine.load.cache.counts()).toMatchObject({ secondOvertaken: 1, secondWritten: 0 })
  })

  test('10. versions: a newer call’s value of a lower version doesn’t either, and is told of as olderValue', async () => {
    const store = new FakeKeyv()
    const own = { version: (value: unknown) => (value as { v: number }).v }
    const [mine, other] = [process(store, own), process(store, own)]
    const told: unknown[] = []
    mine.registry.on('olderValue', (event) => told.push(event))
    await bring(other, 'a', { v: 2 })
    await mine.clock.advance(1_000)
    await bring(mine, 'a', { v: 1 })
    expect(store.only).toMatchObject({ value: { v: 2 } })
    expect(told).toEqual([{ dependency: 'feed', operation: 'load' }])
  })

  test('what is there and older, or nobody’s, or from a clock that is wrong, is replaced', async () => {
    for (const change of [
      (envelope: Record<string, unknown>) => ({ ...envelope, start: (envelope['start'] as number) - 5_000 }),
      (envelope: Record<string, unknown>) => ({ ...envelope, start: (envelope['start'] as number) + 50_000 }),
      () => 'torn',
    ]) {
      const store = new FakeKeyv()
      await bring(process(store), 'a', 'theirs')
      store.tamper(change)
      await bring(process(store), 'a', 'mine')
      expect(store.only).toMatchObject({ value: 'mine' })
    }
  })

  test('a store restored from an older dump is repaired by the next write', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    await bring(rig, 'a', 'old')
    const [dump] = store.data.values()
    await rig.clock.advance(100)
    await bring(rig, 'a', 'new')
    store.data.set(keyOf('a'), dump!)
    expect(await rig.failing('a')).toBe('new')
    await rig.clock.advance(100)
    await bring(rig, 'a', 'newest')
    expect(store.only).toMatchObject({ value: 'newest' })
  })

  test('wall time that is set back does not make this process’ values look older than its own earlier ones for long', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    await bring(rig, 'a', 'before')
    rig.clock.stepWall(-3_600_000)
    await rig.clock.advance(100)
    const fresh = process(store)
    fresh.clock.stepWall(-3_600_000)
    await bring(fresh, 'a', 'after')
    expect(store.only).toMatchObject({ value: 'after' })
  })

  test('14. privacy: what is not public stays out of it, unless it is allowed', async () => {
    const store = new FakeKeyv()
    const own = { scope: (_id: string, user?: string) => user ?? '' }
    await bring(process(store, own), 'a', 'private', 'ann')
    expect([store.gets, store.sets]).toEqual([[], []])
    const allowed = process(store, { ...own, storePrivate: true })
    await bring(allowed, 'a', 'private', 'ann')
    const reader = process(store, { ...own, storePrivate: true, freshFor: 1_000 })
    expect(await reader.load('a', 'ann')).toBe('private')
    const other = watch(reader.load('a', 'bob'))
    await settle()
    expect(reader.runs).toHaveLength(1)
    expect(other.state).toBe('pending')
  })

  test('a value that cacheIf declined, a failure and a refusal are not written', async () => {
    const store = new FakeKeyv()
    const rig = process(store, { cacheIf: (value) => value !== 'declined' })
    await bring(rig, 'a', 'declined')
    expect(await rig.failing('a')).toBe(down)
    expect(store.sets).toEqual([])
  })

  test('close lets what is still to be written be written, no longer than its timeout', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    store.mode = 'hangs'
    await bring(rig, 'a', 1)
    const closing = watch(rig.registry.close({ timeout: 500 }))
    await rig.clock.advance(499)
    expect(closing.state).toBe('pending')
    store.release()
    await settle()
    expect([closing.state, store.only['value']]).toEqual(['resolved', 1])
    store.emit(down)
    expect(rig.reported).toEqual([])
  })
})

describe('11. deleting, with a second level', () => {
  test('delete reaches it: another process doesn’t serve the value from there', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    await bring(rig, 'a', 1)
    await rig.clock.advance(10)
    rig.load.cache.delete('a')
    await settle()
    expect(store.only).toMatchObject({ gone: true })
    expect(store.sets.at(-1)!.ttl).toBe(3_600_000)
    expect(await process(store).failing('a')).toBe(down)
  })

  test('delete is final in this process whether or not the store heard of it', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    await bring(rig, 'a', 1)
    store.mode = 'fails'
    rig.load.cache.delete('a')
    await settle()
    store.mode = 'works'
    expect(store.only).toMatchObject({ value: 1 })
    expect(await rig.failing('a')).toBe(down)
  })

  test('a delete that the store did not take is made when it does', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    await bring(rig, 'a', 1)
    await rig.clock.advance(10)
    store.mode = 'takes nothing'
    rig.load.cache.delete('a')
    await rig.clock.advance(1_500)
    store.mode = 'works'
    await rig.clock.advance(2_500)
    expect(store.only).toMatchObject({ gone: true })
    await rig.clock.advance(60_000)
    expect(rig.clock.pending()).toBe(0)
  })

  test('a call of another process that began before a delete does not bring the value back; one that began after does', async () => {
    const store = new FakeKeyv()
    const [mine, other] = [process(store), process(store)]
    const pass = async (): Promise<void> => {
      await Promise.all([mine.clock.advance(10), other.clock.advance(10)])
    }
    const before = other.load('a')
    await pass()
    mine.load.cache.delete('a')
    await pass()
    other.last().open('of before')
    await before
    await settle()
    expect(store.only).toMatchObject({ gone: true })
    await bring(other, 'a', 'of after')
    expect(store.only).toMatchObject({ value: 'of after' })
    expect(await mine.failing('a')).toBe('of after')
  })

  test('a delete while it is read is obeyed', async () => {
    const store = new FakeKeyv()
    await bring(process(store), 'a', 'theirs')
    const { clock, load, last } = process(store)
    await clock.advance(10)
    store.mode = 'hangs'
    const call = load('a').catch((error: unknown) => error)
    last().fail(down)
    await settle()
    load.cache.delete('a')
    store.release()
    expect(await call).toBe(down)
  })

  test('more deletes than can wait for a dead store become a clear, so that none is lost', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    await bring(rig, 'first', 'value')
    await rig.clock.advance(10)
    store.mode = 'hangs'
    for (let i = 0; i < 4; i++) rig.load.cache.delete(`lane ${i}`)
    rig.load.cache.delete('first')
    for (let i = 0; i < 1_000; i++) rig.load.cache.delete(`other ${i}`)
    store.release()
    await rig.clock.advance(60_000)
    expect(await process(store).failing('first')).toBe(down)
    expect(rig.load.cache.counts()).toMatchObject({ secondDropped: 1 })
  })

  test('clear reaches it: what was there before is served to nobody, and what comes after is', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    await bring(rig, 'a', 1)
    await bring(rig, 'b', 2)
    await rig.clock.advance(10)
    rig.load.cache.clear()
    await rig.clock.advance(10)
    await bring(rig, 'b', 'after')
    const reader = process(store)
    await reader.clock.advance(20)
    expect(await reader.failing('a')).toBe(down)
    expect(await reader.failing('b')).toBe('after')
    expect(await rig.failing('a')).toBe(down)
  })

  test('clear leaves other operations alone', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    await bring(rig, 'a', 1)
    const other = rig.dependency.wrap(() => Promise.resolve(1), { name: 'other', key: () => 'a', scope: 'public' })
    await rig.clock.advance(10)
    other.cache.clear()
    await settle()
    expect(await process(store).failing('a')).toBe(1)
  })

  test('expire reaches it: another process does not take it for fresh', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    await bring(rig, 'a', 1)
    await rig.clock.advance(10)
    rig.load.cache.expire('a')
    await settle()
    const reader = process(store, { freshFor: 10_000 })
    await reader.clock.advance(20)
    const outcome = reader.load.outcome('a')
    await settle()
    expect(reader.runs).toHaveLength(1)
    reader.last().fail(down)
    expect(await outcome).toMatchObject({ value: 1, stale: true, age: 20 })
  })

  test('expire before the value was written, or while it is read, is not lost', async () => {
    const store = new FakeKeyv()
    const rig = process(store)
    store.mode = 'hangs'
    await bring(rig, 'a', 1)
    rig.load.cache.expire('a')
    store.release()
    await settle()
    expect(store.only).toMatchObject({ value: 1, expired: true })
  })

  test('evictOn takes what was there when the call began, and nothing newer', async () => {
    const store = new FakeKeyv()
    const [mine, other] = [process(store), process(store)]
    await bring(other, 'a', 1)
    await mine.clock.advance(10)
    await mine.failing('a', Object.assign(new Error('gone'), { status: 404 }))
    await settle()
    expect(store.only).toMatchObject({ gone: true })
    const asked = mine.load('a').catch(() => undefined)
    await other.clock.advance(20)
    await bring(other, 'a', 'newer')
    mine.last().fail(Object.assign(new Error('gone'), { status: 404 }))
    await asked
    await settle()
    expect(store.only).toMatchObject({ value: 'newer' })
  })

  test('a 404 of what was never there writes nothing', async () => {
    const store = new FakeKeyv()
    await process(store).failing('a', Object.assign(new Error('gone'), { status: 404 }))
    await settle()
    expect(store.sets).toEqual([])
  })

  test('a value too large for the first level does not leave the one before it in the second', async () => {
    const store = new FakeKeyv()
    const rig = process(store, {}, { stale: { maxBytes: 50 } })
    await bring(rig, 'a', 'small')
    await rig.clock.advance(10)
    await bring(rig, 'a', 'x'.repeat(100))
    expect(await rig.failing('a')).toBe(down)
    expect(await process(store).failing('a')).toBe(down)
  })
})
