import { describe, expect, test } from 'vitest'
import type { Version } from '../../../src/policies/cache/version.js'
import { settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { down, loads } from '../../support/loads.js'

describe('10. versions', () => {
  test('a call that began earlier and ends later does not replace the newer value', async () => {
    const { load, runs, failing } = loads()
    const earlier = load('a')
    const later = load('a')
    runs[1]!.open('newer')
    await later
    runs[0]!.open('older')
    expect(await earlier).toBe('older')
    expect(await failing('a')).toBe('newer')
    expect(load.cache.counts()).toMatchObject({ written: 1, older: 1 })
  })

  test('a call that began in the same instant but later replaces the earlier value', async () => {
    const { load, runs, failing } = loads()
    const calls = [load('a'), load('a')]
    runs[0]!.open('first')
    runs[1]!.open('second')
    await Promise.all(calls)
    expect(await failing('a')).toBe('second')
  })

  test('the late result of a call that timed out is kept when nothing newer came, and dropped when something did', async () => {
    const { clock, load, runs, fill, failing } = loads({ timeout: 100 })
    void watch(load('a'))
    void watch(load('b'))
    await clock.advance(100)
    await fill('b', 'newer')
    runs[0]!.open('late a')
    runs[1]!.open('late b')
    await settle()
    expect(await failing('a')).toBe('late a')
    expect(await failing('b')).toBe('newer')
  })

  test('after a newer value was evicted from a full store an older call does not bring an older one', async () => {
    const { load, runs, fill, failing } = loads({}, { stale: { max: 1 } })
    const earlier = load('a')
    await fill('a', 'newer')
    await fill('b', 'evicts a')
    runs[0]!.open('older')
    await earlier
    expect(await failing('a')).toBe(down)
    expect(load.cache.counts()).toMatchObject({ older: 1 })
  })

  test.each([undefined, Number.NaN])(
    'one without a version that can be compared (%s) takes its place, but not its guard',
    async (none) => {
      const { load, fill, failing } = loads({ version: (value) => (value as [Version])[0] })
      await fill('a', [5])
      await fill('a', [none])
      expect(await failing('a')).toEqual([none])
      await fill('a', [3])
      expect(await failing('a')).toEqual([none])
      await fill('a', [6])
      expect(await failing('a')).toEqual([6])
      expect(load.cache.counts()).toMatchObject({ written: 3, olderVersion: 1 })
    },
  )

  test('a lower version is no answer of the cache either after the higher one was evicted; after a delete it is', async () => {
    const { load, fill, failing } = loads({ version: (value) => (value as [Version])[0] }, { stale: { max: 1 } })
    await fill('a', [5])
    await fill('b', [1])
    await fill('a', [3])
    expect(await failing('a')).toBe(down)
    expect(load.cache.counts()).toMatchObject({ olderVersion: 1 })
    await fill('a', [undefined])
    await fill('a', [3])
    expect(await failing('a')).toEqual([undefined])
    expect(load.cache.counts()).toMatchObject({ olderVersion: 2 })
    load.cache.delete('a')
    await fill('a', [3])
    expect(await failing('a')).toEqual([3])
    await fill('b', [1])
    load.cache.clear()
    await fill('a', [2])
    expect(await failing('a')).toEqual([2])
  })

  test.each<[string, Version, Version]>([
    ['number', 2, 1],
    ['bigint', 2n, 1n],
    ['string', 'b', 'a'],
    ['number in text', '10', '9'],
    ['long number in text', '9007199254740993', '9007199254740992'],
    ['number after a bigint', 10n, 3],
    ['position in a log', '16/B374D848', '16/9'],
    ['date', new Date(2), new Date(1)],
  ])('a value with a lower %s for version is dropped, counted, told of, and still the answer', async (_, high, low) => {
    const { clock, registry, load, last, fill, failing } = loads({ version: (value) => (value as [Version])[0] })
    const told: unknown[] = []
    registry.on('olderValue', (event) => told.push(event))
    await fill('a', [high, 'before'])
    await clock.advance(10)
    const restored = load('a')
    last().open([low, 'from an old dump'])
    expect(await restored).toEqual([low, 'from an old dump'])
    expect(await failing('a')).toEqual([high, 'before'])
    expect(load.cache.counts()).toMatchObject({ written: 1, olderVersion: 1 })
    expect(told).toEqual([{ dependency: 'feed', operation: 'load' }])
  })

  test('a value of the same version is kept: it is younger', async () => {
    const { clock, load, last, fill } = loads({ version: () => 7 })
    await fill('a', 1)
    await clock.advance(100)
    await fill('a', 2)
    const outcome = load.outcome('a')
    last().fail(down)
    expect(await outcome).toMatchObject({ value: 2, age: 0 })
  })

  test('a version that throws is reported, and the value is the answer and not kept', async () => {
    const { reported, fill, failing } = loads({
      version: () => {
        throw new Error('version')
      },
    })
    await fill('a', 1)
    expect(reported).toMatchObject([{ message: 'version' }])
    expect(await failing('a')).toBe(down)
  })
})

describe('11. deleting', () => {
  test('what was deleted is never served again, whatever fails then', async () => {
    const { load, fill, failing } = loads({ freshFor: 1_000 })
    await fill('a', 1)
    await fill('b', 2)
    expect(load.cache.delete('a')).toBe(true)
    expect(load.cache.delete('a')).toBe(false)
    expect(await failing('a')).toBe(down)
    expect(await load('b')).toBe(2)
  })

  test('what was cleared is never served again', async () => {
    const { load, fill, failing } = loads({ freshFor: 1_000 })
    await fill('a', 1)
    await fill('b', 2)
    load.cache.clear()
    expect(await failing('a')).toBe(down)
    expect(await failing('b')).toBe(down)
  })

  test.each([
    ['delete', 'that had a value'],
    ['delete', 'that had none'],
    ['clear', 'that had a value'],
    ['clear', 'that had none'],
  ])('a call in flight does not bring back by its result what a %s took, of a key %s', async (how, had) => {
    const { load, runs, fill, failing } = loads()
    if (had === 'that had a value') await fill('a', 'before')
    const inFlight = load('a')
    if (how === 'delete') load.cache.delete('a')
    else load.cache.clear()
    runs.at(-1)!.open('of before')
    expect(await inFlight).toBe('of before')
    expect(await failing('a')).toBe(down)
    expect(load.cache.counts()).toMatchObject({ older: 1 })
    await fill('a', 'of after')
    expect(await failing('a')).toBe('of after')
  })

  test('a call that began before a delete does not replace what a call after it brought', async () => {
    const { load, runs, fill, failing } = loads()
    const before = load('a')
    load.cache.delete('a')
    await fill('a', 'of after')
    runs[0]!.open('of before')
    await before
    expect(await failing('a')).toBe('of after')
  })

  test.each([['delete'], ['clear']])('after a %s nobody joins a call that began before it', async (how) => {
    const { load, runs } = loads({ freshFor: 1_000 })
    const before = watch(load('a'))
    if (how === 'delete') load.cache.delete('a')
    else load.cache.clear()
    const after = watch(load('a'))
    expect(runs).toHaveLength(2)
    runs[1]!.open('new')
    runs[0]!.open('old')
    await settle()
    expect([before.value, after.value]).toEqual(['old', 'new'])
    expect(await load('a')).toBe('new')
  })

  test('deleting one key keeps no other from being written by a call in flight', async () => {
    const { load, runs, failing } = loads()
    const other = load('b')
    load.cache.delete('a')
    runs[0]!.open('kept')
    await other
    expect(await failing('b')).toBe('kept')
  })

  test('a delete is final even after so many others that it is no longer remembered by itself', async () => {
    const { load, runs, failing } = loads()
    const inFlight = load('a')
    load.cache.delete('a')
    for (let i = 0; i < 2_000; i++) load.cache.delete(`other ${i}`)
    runs[0]!.open('of before')
    await inFlight
    expect(await failing('a')).toBe(down)
  })

  test('deletes are remembered one by one up to a bound; beyond it what was in flight is not kept, which is safe', async () => {
    const { load, runs, fill, failing } = loads()
    const inFlight = load('b')
    for (let i = 0; i <= 1_000; i++) load.cache.delete(`other ${i}`)
    runs[0]!.open('of before')
    await inFlight
    expect(await failing('b')).toBe(down)
    await fill('b', 'of after')
    expect(await failing('b')).toBe('of after')
  })

  test('clearing one operation leaves the others of its dependency alone', async () => {
    const { dependency, load, fill, failing } = loads()
    const other = dependency.wrap(() => Promise.resolve('kept'), {
      name: 'other',
      key: () => 'a',
      scope: 'public',
      freshFor: 1_000,
    })
    await other()
    await fill('a', 1)
    load.cache.clear()
    expect(await failing('a')).toBe(down)
    expect(await other.outcome()).toMatchObject({ value: 'kept', source: 'fresh' })
  })

  test('expire makes what is fresh stale: the next call goes live, and is served the value if that fails', async () => {
    const { clock, load, last, fill } = loads({ freshFor: 1_000 })
    await fill('a', 1)
    await clock.advance(10)
    expect(load.cache.expire('a')).toBe(true)
    expect(load.cache.expire('b')).toBe(false)
    const outcome = load.outcome('a')
    last().fail(down)
    expect(await outcome).toEqual({ value: 1, source: 'stale', stale: true, age: 10, error: down })
  })

  test('a value that comes after expire is fresh', async () => {
    const { load, fill } = loads({ freshFor: 1_000 })
    await fill('a', 1)
    load.cache.expire('a')
    await fill('a', 2)
    expect(await load.outcome('a')).toMatchObject({ value: 2, source: 'fresh' })
  })
})
