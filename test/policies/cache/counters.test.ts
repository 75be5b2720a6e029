import { describe, expect, test } from 'vitest'
import { settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { down, loads } from '../../support/loads.js'

describe('20. counters', () => {
  test('stale values are counted by why they were served, and all together', async () => {
    const { clock, registry, load, fill, failing } = loads(
      { timeout: 500, softTimeout: 100 },
      { bulkhead: { slots: 1, queue: 0 } },
    )
    await fill('a', 1)
    await failing('a')
    registry.setMode('feed', 'unavailable', { reason: 'test' })
    await load('a')
    registry.setMode('feed', 'available', { reason: 'test' })
    await load.with({ deadline: clock.wall() })('a')
    void watch(load('hung'))
    await load('a')
    await clock.advance(500)
    expect(load.cache.counts()).toMatchObject({
      stale: 4,
      staleFailure: 1,
      staleUnavailable: 1,
      staleDeadline: 1,
      staleFull: 1,
      staleTimeout: 0,
      staleSlow: 0,
      empty: 1,
    })
  })

  test('a timeout, a slow call and a key that was just failing have counters of their own', async () => {
    const { clock, load, fill, failing } = loads({ timeout: 500, freshFor: 10 })
    await fill('a', 1)
    await clock.advance(10)
    void watch(load('a'))
    await clock.advance(500)
    await load('a')
    expect(load.cache.counts()).toMatchObject({ staleTimeout: 1, staleThrottled: 1, stale: 2 })
    await failing('b', Object.assign(new Error('gone'), { status: 404 }))
    await clock.advance(5_000)
    await failing('a', Object.assign(new Error('gone'), { status: 404 }))
    expect(load.cache.counts()).toMatchObject({ evicted: 1 })
  })

  test('what is counted is a copy', () => {
    const { load } = loads()
    ;(load.cache.counts() as Record<string, number>)['stale'] = 9
    expect(load.cache.counts()).toMatchObject({ stale: 0 })
  })

  test('the ages of the values that were served are told by percentiles, to 3.2 %', async () => {
    const { clock, load, fill, failing } = loads({ freshFor: 100_000 })
    expect(load.cache.ages()).toBe(undefined)
    await fill('a', 1)
    expect(load.cache.ages()).toBe(undefined)
    for (let second = 1; second <= 50; second++) {
      await clock.advance(1_000)
      await load('a')
    }
    load.cache.expire('a')
    await clock.advance(50_000)
    await failing('a')
    const { p50, p95, p99, max } = load.cache.ages()!
    for (const [got, wanted] of [
      [p50, 26_000],
      [p95, 49_000],
      [p99, 100_000],
    ] as const)
      expect(Math.abs(got - wanted) / wanted).toBeLessThan(0.032)
    expect(max).toBe(100_000)
  })

  test('an age of nothing at all, and one of a year, are counted too', async () => {
    const { clock, load, fill, failing } = loads({ staleFor: 1e11 })
    await fill('a', 1)
    await failing('a')
    expect(load.cache.ages()).toEqual({ p50: 0, p95: 0, p99: 0, max: 0 })
    const year = 365 * 86_400_000
    await clock.advance(year)
    await failing('a')
    const { p99, max } = load.cache.ages()!
    expect(max).toBe(year)
    expect(Math.abs(p99 - year) / year).toBeLessThan(0.032)
  })

  test('an operation that is not cached has counted nothing', async () => {
    const { dependency } = loads()
    const plain = dependency.wrap(() => 1)
    await plain()
    expect([plain.cache.counts(), plain.cache.ages()]).toEqual([{}, undefined])
  })

  test('names carry no keys, and values are numbers', async () => {
    const { load, fill, failing } = loads()
    await fill('secret', 1)
    await failing('secret', down)
    await settle()
    const counts = load.cache.counts()
    expect(JSON.stringify(counts)).not.toContain('secret')
    expect(Object.values(counts).every((count) => typeof count === 'number')).toBe(true)
  })
})
