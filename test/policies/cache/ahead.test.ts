import { describe, expect, test } from 'vitest'
import { ManualClock, settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { down, loads } from '../../support/loads.js'

const readThrough = { freshFor: 1_000 }

describe('17. ahead', () => {
  test('a value that is read at 80 % of freshFor is loaded again behind, and its reader does not wait', async () => {
    const { clock, load, runs, last, fill } = loads(readThrough)
    await fill('a', 'old')
    await clock.advance(799)
    await load('a')
    expect(runs).toHaveLength(1)
    await clock.advance(1)
    expect(await load.outcome('a')).toEqual({ value: 'old', source: 'fresh', stale: false, age: 800 })
    expect(runs).toHaveLength(2)
    last().open('new')
    await settle()
    expect(await load.outcome('a')).toMatchObject({ value: 'new', age: 0 })
    expect(load.cache.counts()).toMatchObject({ ahead: 1, skipped: 0, written: 2 })
  })

  test.each([
    [0, 720],
    [0.999999, 880],
  ])('with %d for chance it is at %i of 1,000 ms', async (chance, at) => {
    const { clock, load, runs, fill } = loads(readThrough, {}, new ManualClock({ random: () => chance }))
    await fill('a', 'old')
    await clock.advance(at - 1)
    await load('a')
    expect(runs).toHaveLength(1)
    await clock.advance(1)
    await load('a')
    expect(runs).toHaveLength(2)
  })

  test('chance is asked once for each value, so that many readers do not bring it forward', async () => {
    let asked = 0
    const random = (): number => {
      asked++
      return 0.5
    }
    const { clock, load, fill } = loads(readThrough, {}, new ManualClock({ random }))
    await fill('a', 'old')
    await clock.advance(720)
    for (let i = 0; i < 20; i++) await load('a')
    expect(asked).toBe(1)
  })

  test('on read only: what nobody reads is not loaded, and no timer runs for it', async () => {
    const { clock, runs, fill } = loads(readThrough)
    await fill('a', 'old')
    const timers = clock.pending({ referenced: true })
    await clock.advance(999)
    expect(runs).toHaveLength(1)
    expect(clock.pending({ referenced: true })).toBe(timers)
  })

  test.each([[true], [false]])('one at a time for each key (coalesce: %s)', async (coalesce) => {
    const { clock, load, runs, fill } = loads({ ...readThrough, coalesce })
    await fill('a', 'old')
    await fill('b', 'old')
    await clock.advance(800)
    for (let i = 0; i < 5; i++) await load('a')
    await load('b')
    expect(runs.map(({ id }) => id)).toEqual(['a', 'b', 'a', 'b'])
    expect(load.cache.counts()).toMatchObject({ ahead: 2, skipped: 0 })
  })

  test('a caller who comes when the value is stale joins it', async () => {
    const { clock, load, runs, last, fill } = loads(readThrough)
    await fill('a', 'old')
    await clock.advance(800)
    await load('a')
    await clock.advance(200)
    const joiner = watch(load('a'))
    expect(runs).toHaveLength(2)
    last().open('new')
    await settle()
    expect(joiner.value).toBe('new')
  })

  test('it goes on when those who joined it leave', async () => {
    const { clock, load, last, fill } = loads(readThrough)
    await fill('a', 'old')
    await clock.advance(800)
    await load('a')
    await clock.advance(200)
    const controller = new AbortController()
    void watch(load.with({ signal: controller.signal })('a'))
    controller.abort()
    expect(last().context.signal.aborted).toBe(false)
  })

  test('it never takes the last slot, nor a place in line', async () => {
    const { clock, dependency, load, runs, fill } = loads(readThrough, { bulkhead: { slots: 2 } })
    await fill('a', 'old')
    await clock.advance(800)
    void watch(load('other'))
    expect(await load('a')).toBe('old')
    expect(runs.map(({ id }) => id)).toEqual(['a', 'other'])
    expect(dependency.health().waiters).toBe(0)
    for (let i = 0; i < 9; i++) await load('a')
    expect(load.cache.counts()).toMatchObject({ ahead: 0, skipped: 1 })
    runs[1]!.open('done')
    await clock.advance(50)
    await load('a')
    expect(runs.map(({ id }) => id)).toEqual(['a', 'other', 'a'])
  })

  test('one that found no room is joined by nobody', async () => {
    const { clock, load, runs, fill } = loads(readThrough, { bulkhead: { slots: 2 } })
    await fill('a', 'old')
    await clock.advance(800)
    void watch(load('other'))
    void load('a')
    load.cache.expire('a')
    for (let i = 0; i < 3; i++) void watch(load('a'))
    await settle()
    expect(runs.map(({ id }) => id)).toEqual(['a', 'other', 'a'])
    expect(load.cache.counts()).toMatchObject({ skipped: 1, joined: 2 })
  })

  test('the last slot of a class is left to its callers as well', async () => {
    const { clock, load, runs, fill } = loads(readThrough, {
      bulkhead: { slots: 9, classes: { stats: { guaranteed: 0, atMost: 1 } } },
    })
    await fill('a', 'old')
    await clock.advance(800)
    await load.with({ class: 'stats' })('a')
    expect(runs).toHaveLength(1)
    await clock.advance(50)
    await load('a')
    expect(runs).toHaveLength(2)
  })

  test('only while the dependency is available: not while it is out, nor as its trial, nor beyond the ramp', async () => {
    const { clock, dependency, registry, load, runs, fill, failing } = loads(
      { freshFor: 100_000 },
      { circuit: { consecutiveFailures: 1, openFor: 500, rampFor: 10_000 } },
    )
    await fill('a', 'old')
    await clock.advance(80_000)
    registry.setMode('feed', 'unavailable', { reason: 'test' })
    await load('a')
    expect(dependency.health().counts.rejects).toBe(0)
    expect(load.cache.counts()).toMatchObject({ skipped: 0 })
    registry.setMode('feed', 'available', { reason: 'test' })
    registry.clearMode('feed')
    await failing('b')
    expect(dependency.mode).toBe('unavailable')
    await clock.advance(500)
    await load('a')
    expect(runs.map(({ id }) => id)).toEqual(['a', 'b'])
    await fill('c', 'the trial')
    expect(dependency.mode).toBe('available')
    await load('a')
    expect(runs.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    await clock.advance(9_000)
    await load('a')
    expect(runs.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'a'])
  })

  test('one that fails is counted once, reaches no reader, and the next waits for the throttle', async () => {
    const { clock, dependency, load, runs, last, fill, reported } = loads({ freshFor: 10_000 })
    await fill('a', 'old')
    await clock.advance(8_000)
    await load('a')
    last().fail(down)
    await settle()
    await clock.advance(999)
    expect(await load.outcome('a')).toMatchObject({ source: 'fresh' })
    expect(runs).toHaveLength(2)
    expect(dependency.health().counts).toMatchObject({ failures: 1 })
    expect(reported).toEqual([])
    await clock.advance(1)
    await load('a')
    expect(runs).toHaveLength(3)
  })

  test('it is apart from the request of its reader', async () => {
    const { clock, load, last, fill } = loads(readThrough)
    await fill('a', 'old')
    await clock.advance(800)
    const controller = new AbortController()
    await load.with({ signal: controller.signal, total: 10 })('a')
    controller.abort()
    await clock.advance(100)
    expect(last().context.signal.aborted).toBe(false)
  })

  test('with freshFor: 0 nothing is loaded ahead', async () => {
    const { clock, load, fill, failing } = loads()
    await fill('a', 'old')
    await clock.advance(3_000_000)
    await failing('a')
    expect(load.cache.counts()).toMatchObject({ ahead: 0, skipped: 0 })
  })
})
