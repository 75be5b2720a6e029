import { describe, expect, test } from 'vitest'
import { Scope } from '../../../src/request/scope.js'
import { watch } from '../../support/calls.js'
import { loads } from '../../support/loads.js'

describe('a fresh value that is served without a record of the call', () => {
  test('key and scope are asked once a call, whether it is served or goes live', async () => {
    let asked = 0
    const { load, fill } = loads({
      freshFor: 1_000,
      key: (id) => {
        asked++
        return id
      },
    })
    await fill('a', 1)
    expect(asked).toBe(1)
    await load('a')
    expect(asked).toBe(2)
    await load.outcome('a')
    expect(asked).toBe(3)
    void watch(load('b'))
    expect(asked).toBe(4)
  })

  test('a key that throws is counted and reported once', async () => {
    const { load, last, reported } = loads({
      freshFor: 1_000,
      key: () => {
        throw new Error('key')
      },
    })
    const live = load('a')
    last().open(1)
    await live
    expect(reported).toHaveLength(1)
    expect(load.cache.counts()).toMatchObject({ keyErrors: 1 })
  })

  test('it is told of like any other while somebody listens', async () => {
    const { registry, load, fill } = loads({ freshFor: 1_000 })
    await fill('a', 1)
    const told: unknown[] = []
    registry.on('call', ({ source }) => told.push(source))
    await load('a')
    expect(told).toEqual(['fresh'])
  })

  test('it is counted', async () => {
    const { dependency, load, fill } = loads({ freshFor: 1_000 })
    await fill('a', 1)
    await load('a')
    await load('a')
    expect(load.cache.counts()).toMatchObject({ fresh: 2 })
    expect(dependency.health().counts.fresh).toBe(2)
    expect(load.cache.ages()).toMatchObject({ max: 0 })
  })

  test('not once the dependency is closed or disabled, or the client has gone', async () => {
    const { clock, registry, dependency, load, runs, fill } = loads({ freshFor: 1_000 })
    await fill('a', 1)
    registry.disable('feed', { reason: 'test', for: 1_000 })
    void watch(load('a'))
    expect(runs).toHaveLength(2)
    registry.enable('feed')
    const scope = new Scope(clock, 1_000, 0)
    scope.abort('gone')
    await expect(scope.run(() => load('a'))).rejects.toBe('gone')
    void dependency.close()
    await expect(load('a')).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})

describe('16. memory under many keys', () => {
  test('a million distinct keys leave no more than max values and maxBytes behind', { timeout: 120_000 }, async () => {
    const { dependency } = loads({}, { stale: { max: 500, maxBytes: 20_000 } })
    const load = dependency.wrap((_, id: string) => `value of ${id}`, {
      name: 'many',
      key: (id) => id,
      scope: 'public',
      freshFor: 60_000,
      coalesce: false,
    })
    for (let i = 0; i < 1_000_000; i++) await load(`${i}`)
    let kept = 0
    let bytes = 0
    for (let i = 998_000; i < 1_000_000; i++)
      if (load.cache.delete(`${i}`)) {
        kept++
        bytes += `value of ${i}`.length + `${i}`.length
      }
    expect(kept).toBeGreaterThan(100)
    expect(kept).toBeLessThanOrEqual(500)
    expect(bytes).toBeLessThanOrEqual(20_000)
    for (let i = 0; i < 998_000; i += 997) expect(load.cache.delete(`${i}`)).toBe(false)
  })
})
