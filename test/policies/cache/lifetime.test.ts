import { describe, expect, test } from 'vitest'
import { settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { down, loads } from '../../support/loads.js'

describe('1. kinds', () => {
  test('with freshFor left out every call goes live, and the cache serves bad days only', async () => {
    const { load, runs, fill, failing } = loads()
    await fill('a', 1)
    await fill('a', 2)
    expect(runs).toHaveLength(2)
    expect(await failing('a')).toBe(2)
    expect(load.cache.counts()).toMatchObject({ fresh: 0, stale: 1, written: 2 })
  })

  test('with freshFor a value is served without a call until it is that old, and then a call goes live', async () => {
    const { clock, load, runs, fill } = loads({ freshFor: 100 })
    await fill('a', 1)
    await clock.advance(70)
    expect(await load('a')).toBe(1)
    expect(runs).toHaveLength(1)
    await clock.advance(30)
    await fill('a', 2)
    expect(await load('a')).toBe(2)
    expect(load.cache.counts()).toMatchObject({ fresh: 2, stale: 0, written: 2 })
  })

  test('a value of one key is never served for another', async () => {
    const { fill, failing } = loads({ freshFor: 100 })
    await fill('a', 1)
    await fill('b', 2)
    expect(await failing('c')).toBe(down)
  })
})

describe('2. lifetime', () => {
  test('staleFor counts from the start of the call that produced the value, not from its end', async () => {
    const { clock, load, last, failing } = loads({ staleFor: 1_000, timeout: 900 })
    const slow = load('a')
    await clock.advance(800)
    last().open('old')
    await slow
    await clock.advance(199)
    expect(await failing('a')).toBe('old')
    await clock.advance(1)
    expect(await failing('a')).toBe(down)
  })

  test('the fresh time counts from the start of the call as well', async () => {
    const { clock, load, last } = loads({ freshFor: 500 })
    const slow = load('a')
    await clock.advance(400)
    last().open('value')
    await slow
    await clock.advance(99)
    expect((await load.outcome('a')).source).toBe('fresh')
    await clock.advance(1)
    const stale = watch(load('a'))
    await settle()
    expect(stale.state).toBe('pending')
  })

  test('a failure does not lengthen it, however often the value was served', async () => {
    const { clock, fill, failing } = loads({ staleFor: 1_000 })
    await fill('a', 1)
    for (let i = 0; i < 9; i++) {
      await clock.advance(100)
      expect(await failing('a')).toBe(1)
    }
    await clock.advance(100)
    expect(await failing('a')).toBe(down)
  })

  test('a call that waits does not serve what has passed staleFor while it waited', async () => {
    const { clock, load, fill } = loads({ staleFor: 1_000, timeout: 500 })
    await fill('a', 1)
    await clock.advance(600)
    const waiting = watch(load('a'))
    await clock.advance(500)
    expect(waiting).toMatchObject({ state: 'rejected', error: { code: 'ERR_CALL_TIMEOUT' } })
  })

  test('a throttled key is called live again once its value has passed staleFor', async () => {
    const { clock, load, runs, fill, failing } = loads({ freshFor: 100, staleFor: 500 })
    await fill('a', 1)
    await clock.advance(200)
    expect(await failing('a')).toBe(1)
    await clock.advance(299)
    expect(await load('a')).toBe(1)
    expect(runs).toHaveLength(2)
    await clock.advance(1)
    watch(load('a'))
    expect(runs).toHaveLength(3)
  })

  test('a late value is as old as its call, not as its arrival', async () => {
    const { clock, load, runs } = loads({ timeout: 100 })
    const gaveUp = watch(load('a'))
    await clock.advance(100)
    expect(gaveUp.state).toBe('rejected')
    await clock.advance(400)
    runs[0]!.open('late')
    await settle()
    const next = load.outcome('a')
    runs[1]!.fail(down)
    expect(await next).toMatchObject({ value: 'late', age: 500 })
  })
})

describe('3. result', () => {
  test('a live answer has no age and no error', async () => {
    const { load, last } = loads()
    const outcome = load.outcome('a')
    last().open('value')
    expect(await outcome).toEqual({ value: 'value', source: 'live', stale: false, age: 0 })
  })

  test('a fresh one has its age and no error', async () => {
    const { clock, load, fill } = loads({ freshFor: 100 })
    await fill('a', 1)
    await clock.advance(40)
    expect(await load.outcome('a')).toEqual({ value: 1, source: 'fresh', stale: false, age: 40 })
  })

  test('a stale one has its age at the moment it is served and the error that kept it from being live', async () => {
    const { clock, load, last, fill } = loads()
    await fill('a', 1)
    await clock.advance(300)
    const outcome = load.outcome('a')
    await clock.advance(50)
    last().fail(down)
    expect(await outcome).toEqual({ value: 1, source: 'stale', stale: true, age: 350, error: down })
  })

  test('a cached value within its fresh time is not called stale, even when it is served for a failure', async () => {
    const { clock, load, last, fill } = loads({ freshFor: 500, coalesce: false })
    await fill('a', 1)
    load.cache.expire('a')
    const early = load.outcome('a')
    const first = last()
    await clock.advance(10)
    await fill('a', 2)
    await clock.advance(10)
    first.fail(down)
    expect(await early).toEqual({ value: 2, source: 'stale', stale: false, age: 10, error: down })
  })

  test('a call event says that the answer was stale', async () => {
    const { registry, fill, failing } = loads()
    await fill('a', 1)
    const sources: unknown[] = []
    registry.on('call', ({ source, ok }) => sources.push([source, ok]))
    await failing('a')
    expect(sources).toEqual([['stale', true]])
  })
})
