import { describe, expect, test } from 'vitest'
import { dependencySettings, type DependencyOptions } from '../src/dependency-options.js'
import { OptionError } from '../src/core/errors.js'
import { invariant, monotonic } from '../src/index.js'
import { createPool } from '../src/pool.js'
import { createRegistry } from '../src/registry.js'
import { ManualClock } from '../src/testing.js'
import { watch } from './support/calls.js'

const TOO_LONG = 2 ** 31

/** Everything that is a number of ms for a timer, by its path. */
const durations = [
  'timeout',
  'total',
  'bulkhead.maxWait',
  'bulkhead.reclaimAfter',
  'bulkhead.classes.pages.timeout',
  'circuit.window',
  'circuit.slowCall',
  'circuit.slowCall.atLeast',
  'circuit.openFor',
  'circuit.openForAtMost',
  'probe.every',
  'probe.timeout',
  'longCall',
]
const counts = [
  'probe.failures',
  'probe.successes',
  'bulkhead.slots',
  'bulkhead.classes.pages.atMost',
  'circuit.window.calls',
  'circuit.minimumCalls',
  'circuit.consecutiveFailures',
  'stale.max',
  'stale.maxBytes',
]
const countsOrZero = ['bulkhead.queue', 'bulkhead.classes.pages.guaranteed']
const ages = ['stale.freshFor', 'stale.staleFor', 'circuit.window.maxAge']
const ratios = ['circuit.failureRate', 'circuit.slowRate', 'circuit.warnRate']

/** What belongs beside it, so that nothing else is wrong. */
const beside: Record<string, object> = { 'circuit.window.maxAge': { calls: 100 } }

function at(path: string, value: unknown): object {
  const [name, ...rest] = path.split('.') as [string, ...string[]]
  if (rest.length === 0) return { [name]: value }
  return { [name]: at(rest.join('.'), value) }
}

function options(path: string, value: unknown): object {
  const made = at(path, value)
  for (const list of ['invariants', 'dependsOn', 'tags'])
    if (path.startsWith(`${list}.`)) return { [list]: path.endsWith('1') ? ['one', value] : [value] }
  if (path.startsWith('probe.') && path !== 'probe.run')
    Object.assign((made as { probe: object }).probe, { run: () => undefined })
  if (beside[path] !== undefined) Object.assign((made as { circuit: { window: object } }).circuit.window, beside[path])
  return made
}

/** Refused, and nothing has happened: the name is free, and unknown. */
function refuses(given: unknown, path: string): void {
  const registry = createRegistry({ clock: new ManualClock() })
  let thrown: unknown
  try {
    registry.dependency('feed', given as DependencyOptions)
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(OptionError)
  // `window` and `slowCall` may have several shapes: they are named as a whole.
  const whole = /^circuit\.(window|slowCall)\./.test(path) ? path.slice(0, path.lastIndexOf('.')) : path
  expect([path, whole]).toContain((thrown as OptionError).path)
  expect((thrown as OptionError).message).toContain((thrown as OptionError).path)
  expect(registry.get('feed')).toBeUndefined()
  expect(registry.snapshot()['feed']?.known).toBe(false)
  registry.dependency('feed')
}

describe('a bad value throws an OptionError that names its path, and nothing is registered', () => {
  const table: [string, unknown][] = []
  const add = (paths: string[], values: unknown[]): void => {
    for (const path of paths) for (const value of values) table.push([path, value])
  }
  const noNumbers = [Number.NaN, -1, Infinity, -Infinity, '100', null, {}, [], true]
  add(durations, [...noNumbers.filter((value) => typeof value !== 'object' || value === null), 0, TOO_LONG, 10n])
  add(counts, [...noNumbers, 0, 1.5])
  add(countsOrZero, [...noNumbers, 1.5])
  add(ages, noNumbers)
  add(ratios, [...noNumbers.filter((value) => value !== 100), 0, 1.1])
  add(['circuit.rampFor'], [...noNumbers, TOO_LONG])
  add(['circuit.slowCall.timesBaseline'], [...noNumbers, 0, 0.9])
  add(['timeout', 'total', 'circuit.window', 'circuit.slowCall', 'circuit.openFor', 'bulkhead.slots'], [false])
  add(['enforce', 'required'], [0, 1, 'false', null])
  add(['circuit.recover'], ['ourselves', true, null])
  add(['probe.run'], [undefined, true, 'ping', null, {}])
  add(['probe'], [() => undefined, true, null])
  add(['invariants', 'dependsOn', 'tags'], ['one', {}, null, 5])
  add(['invariants.0'], [{}, () => true, { kind: 'check', name: 'x' }, null, monotonic('ids')])
  add(['dependsOn.1', 'tags.1'], ['', 7, null])
  add(['circuit.isFailure', 'stale.sizeOf'], [true, 'yes', null, {}])
  add(['bulkhead', 'circuit', 'stale', 'bulkhead.classes.pages'], [null, 5, 'all', false, () => 1])
  add(['bulkhead.classes'], [null, 5, 'all', false])
  add(['bulkhead.pool'], [{}, { name: 'db', slots: 10 }, 'db', null])
  add(['circuit.window'], [{}, { maxAge: 10 }, { calls: 0 }, 'all'])

  test.each(table)('%s: %o', (path, value) => {
    refuses(options(path, value), path)
  })

  test.each([[null], [5], ['fast'], [false], [() => 1]])('%o in place of all options', (given) => {
    const registry = createRegistry()
    expect(() => registry.dependency('feed', given as never)).toThrow(OptionError)
    expect(registry.get('feed')).toBeUndefined()
  })
})

describe('an unknown name throws an OptionError that names its path, at every nesting', () => {
  test.each([
    ['retries'],
    ['timeOut'],
    ['bulkhead.size'],
    ['bulkhead.classes.pages.slots'],
    ['circuit.threshold'],
    ['circuit.window.size'],
    ['probe.interval'],
    ['circuit.slowCall.factor'],
    ['stale.ttl'],
  ])('%s', (path) => {
    refuses(options(path, 1), path)
  })

  test('and the message says which names are known', () => {
    expect(() => dependencySettings({ stale: { ttl: 1 } })).toThrow(
      'stale.ttl: unknown option; known are max, maxBytes, sizeOf, freshFor, staleFor',
    )
  })

  test('and says nothing of a value that may be private', () => {
    const secret = `secret ${'x'.repeat(100)}`
    expect(() => dependencySettings({ timeout: secret })).toThrow('timeout: must be a number')
    expect(() => dependencySettings({ timeout: secret })).not.toThrow('secret')
  })
})

describe('what contradicts itself throws an OptionError that names the path, and nothing is registered', () => {
  const pool = createPool({ name: 'db', slots: 10 })
  const table: [string, string, object][] = [
    ['total', 'a total below the timeout', { timeout: 200, total: 100 }],
    ['stale.staleFor', 'staleFor below freshFor', { stale: { freshFor: 200, staleFor: 100 } }],
    ['circuit.openForAtMost', 'openForAtMost below openFor', { circuit: { openFor: 200, openForAtMost: 100 } }],
    [
      'circuit.minimumCalls',
      'more minimumCalls than the window holds',
      { circuit: { window: { calls: 10 }, minimumCalls: 11 } },
    ],
    ['circuit.warnRate', 'a warning at the trip level', { circuit: { warnRate: 0.3, failureRate: 0.3 } }],
    ['probe.timeout', 'a probe longer than its period', { probe: { run: () => 1, timeout: 2_000, every: 1_000 } }],
    [
      'invariants',
      'two invariants of one name',
      { invariants: [invariant('a', () => true), invariant('a', () => true)] },
    ],
    ['bulkhead.guaranteed', 'a guarantee above atMost', { bulkhead: { pool, guaranteed: 5, atMost: 4 } }],
    ['bulkhead.guaranteed', 'a guarantee above the slots of the pool', { bulkhead: { pool, guaranteed: 11 } }],
    ['bulkhead.guaranteed', 'a guarantee without a pool', { bulkhead: { guaranteed: 5 } }],
    ['bulkhead.atMost', 'atMost without a pool', { bulkhead: { slots: 10, atMost: 5 } }],
    ['bulkhead.slots', 'slots and a pool', { bulkhead: { pool, slots: 5 } }],
    [
      'bulkhead.classes.pages.guaranteed',
      'a class guaranteed more than its atMost',
      { bulkhead: { classes: { pages: { guaranteed: 5, atMost: 4 } } } },
    ],
    [
      'bulkhead.classes',
      'classes guaranteed more than there are slots, in all',
      { bulkhead: { slots: 10, classes: { pages: { guaranteed: 6 }, feeds: { guaranteed: 5 } } } },
    ],
    [
      'bulkhead.classes',
      'classes guaranteed more than the 50 slots that are the default',
      { bulkhead: { classes: { pages: { guaranteed: 51 } } } },
    ],
    [
      'bulkhead.classes.feeds',
      "classes guaranteed more than the dependency's own share of a pool",
      { bulkhead: { pool, atMost: 5, classes: { pages: { guaranteed: 3 }, feeds: { guaranteed: 3 } } } },
    ],
    ['bulkhead.classes.', 'a class without a name', { bulkhead: { classes: { '': { guaranteed: 1 } } } }],
  ]
  test.each(table)('%s: %s', (path, _, given) => {
    refuses(given, path)
    expect(Object.keys(pool.usage().members)).toEqual([])
  })

  test('what just fits is accepted', () => {
    for (const given of [
      { timeout: 100, total: 100 },
      { stale: { freshFor: 100, staleFor: 100 } },
      { circuit: { openFor: 100, openForAtMost: 100, window: { calls: 10 }, minimumCalls: 10 } },
      { bulkhead: { slots: 10, classes: { pages: { guaranteed: 5, atMost: 5 }, feeds: { guaranteed: 5 } } } },
      {
        bulkhead: { queue: 0 },
        circuit: { rampFor: 0, consecutiveFailures: false as const },
        stale: { freshFor: 0, staleFor: 0 },
      },
      { probe: { run: () => 1, timeout: 1_000, every: 1_000 }, circuit: { warnRate: 1, failureRate: 0.1 } },
      { timeout: TOO_LONG - 1, circuit: { failureRate: 1, slowRate: 1, slowCall: { timesBaseline: 1 } } },
    ])
      expect(() => dependencySettings(given)).not.toThrow()
  })

  test('guarantees of several dependencies that exceed their pool are refused, and the pool is not joined', () => {
    const registry = createRegistry()
    const shared = createPool({ name: 'db', slots: 10 })
    registry.dependency('one', { bulkhead: { pool: shared, guaranteed: 6 } })
    expect(() => registry.dependency('two', { bulkhead: { pool: shared, guaranteed: 5 } })).toThrow(
      expect.objectContaining({ path: 'bulkhead.guaranteed' }) as Error,
    )
    expect(registry.get('two')).toBeUndefined()
    expect(Object.keys(shared.usage().members)).toEqual(['one'])
    registry.dependency('two', { bulkhead: { pool: shared, guaranteed: 4 } })
    expect(Object.keys(shared.usage().members)).toEqual(['one', 'two'])
  })
})

describe('a dependency that is refused', () => {
  test('by its pool has not begun to watch anything', async () => {
    const clock = new ManualClock()
    const registry = createRegistry({ clock })
    const pool = createPool({ name: 'db', slots: 10 })
    let asked = 0
    const check = invariant('primary', () => (asked++, true), { every: 1_000 })
    expect(() =>
      registry.dependency('feed', {
        bulkhead: { pool, guaranteed: 11 },
        invariants: [check],
        probe: { run: () => asked++, every: 1_000 },
      }),
    ).toThrow(OptionError)
    await clock.advance(10_000)
    expect([asked, clock.pending()]).toEqual([0, 0])
  })
})

describe('names', () => {
  test.each([['list'], ['then'], ['toJSON'], [''], [undefined], [null], [7], [{}]])('%o is refused', (name) => {
    const registry = createRegistry()
    expect(() => registry.dependency(name as string)).toThrow(expect.objectContaining({ path: 'name' }) as Error)
    expect(registry.snapshot().list()).toEqual([])
  })

  test('a second dependency of one name is refused, and the first stays as it is', () => {
    const registry = createRegistry()
    const first = registry.dependency('feed')
    expect(() => registry.dependency('feed', { timeout: 1 })).toThrow(
      expect.objectContaining({ path: 'name', code: 'ERR_OPTION' }) as Error,
    )
    expect(registry.get('feed')).toBe(first)
  })
})

describe('what is left out', () => {
  test('has the documented defaults', () => {
    expect(dependencySettings({})).toMatchObject({
      timeout: 3_000,
      total: Infinity,
      bulkhead: {
        slots: 50,
        queue: 50,
        maxWait: 500,
        reclaimAfter: 30_000,
        pool: undefined,
        share: { guaranteed: undefined, atMost: undefined },
        classes: new Map(),
      },
      circuit: {
        window: 10_000,
        minimumCalls: 20,
        failureRate: 0.5,
        slowCall: { timesBaseline: 5, atLeast: 250 },
        slowRate: 0.8,
        consecutiveFailures: 10,
        openFor: 5_000,
        openForAtMost: 60_000,
        rampFor: 10_000,
        isFailure: undefined,
      },
      stale: { max: 1_000, maxBytes: undefined, sizeOf: undefined, freshFor: 0, staleFor: 3_600_000 },
      enforce: true,
      required: false,
      probe: undefined,
      invariants: [],
      dependsOn: [],
      tags: [],
      longCall: 6_000,
    })
    expect(dependencySettings({}).circuit).toMatchObject({ warnRate: 0.1, recover: 'itself' })
  })

  const run = (): void => undefined

  const clamped: [string, DependencyOptions, object][] = [
    ['a timeout of 100 lowers slowCall.atLeast', { timeout: 100 }, { circuit: { slowCall: { atLeast: 100 } } }],
    ['reclaimAfter is ten times the timeout', { timeout: 100 }, { bulkhead: { reclaimAfter: 1_000 } }],
    [
      'reclaimAfter never exceeds what a timer can hold',
      { timeout: 1e9 },
      { bulkhead: { reclaimAfter: TOO_LONG - 1 } },
    ],
    ['a total of 500 lowers the timeout', { total: 500 }, { timeout: 500, circuit: { slowCall: { atLeast: 250 } } }],
    [
      'a window of 5 calls lowers minimumCalls',
      { circuit: { window: { calls: 5 } } },
      { circuit: { minimumCalls: 5 } },
    ],
    [
      'openFor above the default limit raises it',
      { circuit: { openFor: 90_000 } },
      { circuit: { openForAtMost: 90_000 } },
    ],
    [
      'openForAtMost below the default lowers openFor',
      { circuit: { openForAtMost: 700 } },
      { circuit: { openFor: 700 } },
    ],
    [
      'freshFor above the default staleFor raises it',
      { stale: { freshFor: 1e9 } },
      { stale: { freshFor: 1e9, staleFor: 1e9 } },
    ],
    [
      'a probe needs nothing but its run',
      { probe: { run } },
      { probe: { run, every: 5_000, timeout: 1_000, failures: 3, successes: 2 } },
    ],
    ['a short period lowers its timeout', { probe: { run, every: 300 } }, { probe: { every: 300, timeout: 300 } }],
    [
      'a long timeout raises its period',
      { probe: { run, timeout: 9_000 } },
      { probe: { every: 9_000, timeout: 9_000 } },
    ],
    ['a low failureRate lowers warnRate', { circuit: { failureRate: 0.1 } }, { circuit: { warnRate: 0.05 } }],
    ['longCall is twice the timeout', { timeout: 100 }, { longCall: 200 }],
    ['longCall never exceeds what a timer can hold', { timeout: TOO_LONG - 1 }, { longCall: TOO_LONG - 1 }],
    [
      'a name given twice counts once',
      { dependsOn: ['a', 'b', 'a'], tags: ['x', 'x'] },
      { dependsOn: ['a', 'b'], tags: ['x'] },
    ],
  ]
  test.each(clamped)('is clamped to what is given: %s', (_, given, settings) => {
    expect(dependencySettings(given)).toMatchObject(settings)
  })

  test('and so is what is given as undefined', () => {
    const given = { timeout: undefined, bulkhead: { slots: undefined }, circuit: undefined, stale: { max: undefined } }
    const defaults = { timeout: 70, bulkhead: { slots: 7 }, circuit: { openFor: 700 }, stale: { max: 7 } }
    expect({ ...dependencySettings(given), given: {} }).toEqual(dependencySettings({}))
    expect({ ...dependencySettings(given, defaults), given: defaults }).toEqual(dependencySettings(defaults))
  })
})

describe('the object that was given', () => {
  const given = () => ({
    timeout: 100,
    bulkhead: { slots: 1, queue: 0, classes: { pages: { guaranteed: 1, timeout: 50 } } },
    circuit: { window: { calls: 10 }, slowCall: { atLeast: 50 } },
    stale: { max: 1 },
  })

  test('is not changed, and may be frozen', () => {
    const options = given()
    createRegistry({ defaults: options }).dependency('feed', options)
    expect(options).toEqual(given())
    const frozen = given()
    for (const part of [frozen, frozen.bulkhead, frozen.bulkhead.classes, frozen.circuit, frozen.stale])
      Object.freeze(part)
    expect(() => createRegistry({ defaults: frozen }).dependency('feed', frozen)).not.toThrow()
  })

  test('may be changed afterwards without any effect, at every nesting', async () => {
    const clock = new ManualClock()
    const options = given()
    const settings = dependencySettings(options)
    const registry = createRegistry({ clock, defaults: options })
    const feed = registry.dependency('feed', options)
    options.timeout = 9_000
    options.bulkhead.slots = 99
    options.bulkhead.classes.pages.timeout = 9_000
    options.circuit.window.calls = 99
    options.circuit.slowCall.atLeast = 9_000
    options.stale.max = 99
    expect(settings).toEqual(dependencySettings(given()))
    for (const dependency of [feed, registry.dependency('by default')]) {
      const call = dependency.wrap(() => new Promise(() => undefined))
      const result = watch(call.with({ class: 'pages' })())
      await expect(call()).rejects.toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
      await clock.advance(50)
      expect(result.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    }
  })
})
