import { describe, expect, test } from 'vitest'
import { OptionError } from '../src/core/errors.js'
import { dependencySettings, type DependencyOptions } from '../src/dependency-options.js'
import { createPool } from '../src/pool.js'
import { createRegistry } from '../src/registry.js'

describe("the registry's defaults", () => {
  test('stand in for what a dependency leaves out, at every nesting, and its own go before them', () => {
    const defaults: DependencyOptions = {
      timeout: 700,
      bulkhead: { slots: 7, queue: 70 },
      circuit: { failureRate: 0.7, window: { calls: 70 } },
      stale: { max: 7, staleFor: 70 },
      enforce: false,
      required: true,
      tags: ['ours'],
      longCall: 7_000,
    }
    const settings = dependencySettings(
      { timeout: 800, bulkhead: { slots: 8 }, circuit: { failureRate: 0.8 }, stale: { max: 8 } },
      defaults,
    )
    expect(settings).toMatchObject({
      timeout: 800,
      bulkhead: { slots: 8, queue: 70 },
      circuit: { failureRate: 0.8, window: { calls: 70, maxAge: 60_000 } },
      stale: { max: 8, staleFor: 70 },
      enforce: false,
      required: true,
      tags: ['ours'],
      longCall: 7_000,
    })
  })

  const pool = createPool({ name: 'db', slots: 10 })
  const yielding: [string, DependencyOptions, DependencyOptions, object][] = [
    ['total to a timeout', { total: 500 }, { timeout: 800 }, { timeout: 800, total: 800 }],
    ['timeout to a total', { timeout: 800 }, { total: 500 }, { timeout: 500, total: 500 }],
    [
      'freshFor to staleFor',
      { stale: { freshFor: 900 } },
      { stale: { staleFor: 100 } },
      { stale: { freshFor: 100, staleFor: 100 } },
    ],
    [
      'staleFor to freshFor',
      { stale: { staleFor: 100 } },
      { stale: { freshFor: 900 } },
      { stale: { freshFor: 900, staleFor: 900 } },
    ],
    [
      'openFor to openForAtMost',
      { circuit: { openFor: 900 } },
      { circuit: { openForAtMost: 100 } },
      { circuit: { openFor: 100, openForAtMost: 100 } },
    ],
    [
      'openForAtMost to openFor',
      { circuit: { openForAtMost: 100 } },
      { circuit: { openFor: 900 } },
      { circuit: { openFor: 900, openForAtMost: 900 } },
    ],
    [
      'minimumCalls to the window',
      { circuit: { minimumCalls: 50 } },
      { circuit: { window: { calls: 20 } } },
      { circuit: { minimumCalls: 20, window: { calls: 20 } } },
    ],
    [
      'the window to minimumCalls',
      { circuit: { window: { calls: 20, maxAge: 700 } } },
      { circuit: { minimumCalls: 50 } },
      { circuit: { minimumCalls: 50, window: { calls: 50, maxAge: 700 } } },
    ],
    [
      'warnRate to a lower failureRate',
      { circuit: { warnRate: 0.2 } },
      { circuit: { failureRate: 0.1 } },
      { circuit: { warnRate: 0.05, failureRate: 0.1 } },
    ],
    [
      'failureRate to a higher warnRate',
      { circuit: { failureRate: 0.2 } },
      { circuit: { warnRate: 0.3 } },
      { circuit: { warnRate: 0.3, failureRate: 0.5 } },
    ],
    [
      'no failureRate to a warnRate of 1, which is none',
      { circuit: { failureRate: 0.2 } },
      { circuit: { warnRate: 1 } },
      { circuit: { warnRate: 1, failureRate: 0.2 } },
    ],
    ['slots to a pool', { bulkhead: { slots: 7 } }, { bulkhead: { pool } }, { bulkhead: { slots: 10, pool } }],
    [
      'a pool, and the share of it, to slots',
      { bulkhead: { pool, guaranteed: 2, atMost: 3 } },
      { bulkhead: { slots: 7 } },
      { bulkhead: { slots: 7, pool: undefined, share: { guaranteed: undefined, atMost: undefined } } },
    ],
    [
      'guaranteed to atMost',
      { bulkhead: { pool, guaranteed: 4 } },
      { bulkhead: { atMost: 3 } },
      { bulkhead: { share: { guaranteed: 3, atMost: 3 } } },
    ],
    [
      'a back-off’s limit to its base',
      { retry: { retries: 2, backoff: { atMost: 400 } } },
      { retry: { backoff: { base: 900 } } },
      { retry: { retries: 2, backoff: { base: 900, atMost: 900 } } },
    ],
    [
      'a budget, number by number',
      { retry: { budget: { ratio: 0.5 } } },
      { retry: { budget: { perSecond: 1 } } },
      { retry: { budget: { ratio: 0.5, perSecond: 1 } } },
    ],
    ['retries to none', { retry: { retries: 2 } }, { retry: false }, { retry: { retries: 0 } }],
    ['a rate to none', { rate: { perSecond: 2 } }, { rate: false }, { rate: undefined }],
  ]
  test.each(yielding)('give way to what a dependency says: %s', (_, defaults, given, settings) => {
    expect(dependencySettings(given, defaults)).toMatchObject(settings)
  })

  test('never hide a bad value, nor a contradiction within what the dependency says', () => {
    expect(() => dependencySettings({ timeout: 0 }, { timeout: 100 })).toThrow(OptionError)
    expect(() => dependencySettings({ timeout: 200, total: 100 }, { timeout: 1, total: 900 })).toThrow(OptionError)
    const both = { circuit: { openFor: 200, openForAtMost: 100 } }
    expect(() => dependencySettings(both, { circuit: { openFor: 1, openForAtMost: 900 } })).toThrow(OptionError)
    const rates = { circuit: { warnRate: 0.4, failureRate: 0.4 } }
    expect(() => dependencySettings(rates, { circuit: { warnRate: 0.1 } })).toThrow(OptionError)
  })

  test.each([
    ['defaults.timeout', { timeout: 0 }],
    ['defaults.timeout', { timeout: false }],
    ['defaults.retries', { retries: 1 }],
    ['defaults.bulkhead.size', { bulkhead: { size: 1 } }],
    ['defaults.circuit.failureRate', { circuit: { failureRate: 2 } }],
    ['defaults.total', { timeout: 200, total: 100 }],
    ['defaults.stale.staleFor', { stale: { freshFor: 200, staleFor: 100 } }],
    ['defaults.circuit.openForAtMost', { circuit: { openFor: 200, openForAtMost: 100 } }],
    ['defaults.circuit.minimumCalls', { circuit: { window: { calls: 1 }, minimumCalls: 2 } }],
    ['defaults.bulkhead.slots', { bulkhead: { pool, slots: 1 } }],
    ['defaults.rate.perSecond', { rate: { burst: 1 } }],
    ['defaults.retry.backoff.base', { retry: { backoff: { base: 2, atMost: 1 } } }],
    ['defaults.bulkhead.guaranteed', { bulkhead: { guaranteed: 1 } }],
    ['defaults.circuit.warnRate', { circuit: { warnRate: 0.4, failureRate: 0.3 } }],
    ['defaults.longCall', { longCall: 0 }],
    ['defaults.tags.0', { tags: [''] }],
    // What only one dependency can be given.
    ['defaults.probe', { probe: { run: () => undefined } }],
    ['defaults.invariants', { invariants: [] }],
    ['defaults.dependsOn', { dependsOn: ['db'] }],
    ['defaults.bulkhead.classes', { bulkhead: { classes: { pages: { guaranteed: 51 } } } }],
    ['defaults.bulkhead.classes.pages.guaranteed', { bulkhead: { classes: { pages: { guaranteed: 2, atMost: 1 } } } }],
  ])('that are bad throw at once, naming %s', (path, defaults) => {
    expect(() => createRegistry({ defaults: defaults as never })).toThrow(
      expect.objectContaining({ path, code: 'ERR_OPTION' }) as Error,
    )
  })
})
