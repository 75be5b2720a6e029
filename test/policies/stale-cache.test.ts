import { describe, expect, test } from 'vitest'
import { compose } from '../../src/core/compose.js'
import { OptionError } from '../../src/core/errors.js'
import { staleCache } from '../../src/policies/stale-cache.js'
import { timeout } from '../../src/policies/timeout.js'
import { ManualClock } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate } from '../support/gate.js'
import { down, loads } from '../support/loads.js'

const options = { key: (id: string) => id, scope: 'public' as const }

describe('staleCache() in compose', () => {
  test('serves the last good answer when the operation fails', async () => {
    const clock = new ManualClock()
    let works = true
    const load = compose([staleCache(options)], [timeout(100)], { clock })((_, id: string) =>
      works ? Promise.resolve(`${id} 1`) : Promise.reject(down),
    )
    await load('a')
    works = false
    await clock.advance(20)
    expect(await load.outcome('a')).toEqual({ value: 'a 1', source: 'stale', stale: true, age: 20, error: down })
    await expect(load('b')).rejects.toBe(down)
  })

  test('lends its cache to the operation', async () => {
    const load = compose([staleCache({ ...options, freshFor: 1_000 })], [], { clock: new ManualClock() })(
      (_, id: string) => Promise.resolve(id),
    )
    await load('a')
    expect((await load.outcome('a')).source).toBe('fresh')
    expect(load.cache.delete('a')).toBe(true)
    expect((await load.outcome('a')).source).toBe('live')
    expect(load.cache.counts()).toMatchObject({ fresh: 1, written: 2 })
  })

  test('two operations in one composition never share values', async () => {
    const guarded = compose([staleCache({ ...options, freshFor: 1_000 })], [], { name: 'load' })
    const [one, two] = [guarded((_, id: string) => `one ${id}`), guarded((_, id: string) => `two ${id}`)]
    expect([await one('a'), await two('a')]).toEqual(['one a', 'two a'])
  })

  test('max and maxBytes bound what it holds', async () => {
    const load = compose(
      [staleCache({ ...options, freshFor: 1_000, max: 1, maxBytes: 50, sizeOf: () => 1 })],
      [],
    )((_, id: string) => id)
    await load('a')
    await load('b')
    expect((await load.outcome('b')).source).toBe('fresh')
    expect((await load.outcome('a')).source).toBe('live')
  })

  test.each([
    ['staleCache.key', {}],
    ['staleCache.scope', { key: (): string => 'a' }],
    ['staleCache.scope', { key: (): string => 'a', scope: 'private' }],
    ['staleCache.scope', { scope: 'public' }],
    ['staleCache.max', { ...options, max: 0 }],
    ['staleCache.maxBytes', { ...options, maxBytes: Number.NaN }],
    ['staleCache.freshFor', { ...options, freshFor: -1 }],
    ['staleCache.staleFor', { ...options, staleFor: Infinity }],
    ['staleCache.staleFor', { ...options, staleFor: 10, freshFor: 20 }],
    ['staleCache.ttl', { ...options, ttl: 10 }],
  ])('throws an OptionError that names %s for %o', (path, given) => {
    const make = (): unknown => staleCache(given as never)
    expect(make).toThrow(OptionError)
    expect(make).toThrow(expect.objectContaining({ path }) as Error)
  })
})

describe('the cache of an operation', () => {
  test('of one that is not cached does nothing', async () => {
    const { dependency } = loads()
    const plain = dependency.wrap(() => Promise.resolve(1))
    await plain()
    expect([plain.cache.delete(), plain.cache.expire(), plain.cache.counts()]).toEqual([false, false, {}])
    plain.cache.clear()
  })

  test('hands out copies of its counts', async () => {
    const { load, fill } = loads()
    const before = load.cache.counts()
    await fill('a', 1)
    expect([before['written'], load.cache.counts()['written']]).toEqual([0, 1])
  })

  test('of run() is shared by the calls of one name, each with an operation of its own', async () => {
    const { clock, dependency } = loads()
    const cached = { name: 'page', key: () => 'k', scope: 'public' as const }
    await dependency.run(() => Promise.resolve('first'), cached)
    await clock.advance(10)
    expect(await dependency.run(() => Promise.reject<string>(down), cached)).toBe('first')
    await expect(dependency.run(() => Promise.reject<string>(down), { ...cached, name: 'other' })).rejects.toBe(down)
  })

  test('holds nothing back from a process that wants to end: no timer is left when all calls have ended', async () => {
    const { clock, load, last, fill, failing } = loads({ freshFor: 50, timeout: 100 })
    await fill('a', 1)
    await clock.advance(50)
    await failing('a')
    const slow = gate()
    void slow.promise
    void watch(load('b'))
    await clock.advance(100)
    last().open(1)
    await clock.advance(100_000)
    expect(clock.pending()).toBe(0)
  })
})
