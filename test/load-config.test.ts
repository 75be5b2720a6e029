import { describe, expect, expectTypeOf, it } from 'vitest'
import { createPool, loadConfig, monotonic, OptionError, type Budgets, type Pool } from '../src/index.js'
import { ManualClock } from '../src/testing.js'

/** As it comes from a file: nothing is known of it. */
const parsed = (text: string): unknown => JSON.parse(text)

const whole = parsed(`{
  "defaults": { "timeout": 1000 },
  "pools": { "db": { "slots": 10 } },
  "budgets": { "slots": 20, "classes": { "pages": { "guaranteed": 5 }, "stats": {} }, "otherwise": "stats" },
  "dependencies": {
    "orders": { "bulkhead": { "pool": "db", "guaranteed": 4 }, "tags": ["writes"], "dependsOn": ["feed"] },
    "feed": {
      "timeout": 800,
      "required": true,
      "circuit": { "failureRate": 0.3, "consecutiveFailures": false },
      "probe": { "every": 200, "failures": 1 }
    }
  }
}`)

const run = (): undefined => undefined
const code = { feed: { probe: { run } } }

/** The path and the message of what is wrong with a file. */
function problem(file: unknown, options?: Parameters<typeof loadConfig>[1]): [path: string, message: string] {
  try {
    loadConfig(file, options)
  } catch (error) {
    if (error instanceof OptionError) return [error.path, error.message]
    throw error
  }
  throw new Error('nothing is wrong with it')
}

describe('a file', () => {
  it('makes dependencies, pools and budgets, with what is in the code', async () => {
    const clock = new ManualClock()
    let probed = 0
    const { registry, pools, budgets } = loadConfig(whole, {
      clock,
      code: { feed: { probe: { run: () => probed++ } } },
    })
    expect(Object.keys(registry.snapshot())).toEqual(['orders', 'feed'])
    expect(pools['db']?.usage()).toMatchObject({ slots: 10, members: { orders: { guaranteed: 4 } } })
    expect([budgets?.names, budgets?.otherwise, budgets?.usage().slots]).toEqual([['pages', 'stats'], 'stats', 20])
    expect(registry.get('orders')?.tags).toEqual(['writes'])
    expect(registry.ready().waitingFor).toEqual(['feed'])
    await clock.advance(1_000)
    expect(probed).toBe(5)
    expect(registry.ready().ready).toBe(true)
    registry.setMode('feed', 'unavailable', { reason: 'rehearsal' })
    expect(registry.snapshot()['orders']).toMatchObject({ available: false, reason: 'feed is unavailable' })
    await registry.close()
    expect(clock.pending()).toBe(0)
  })

  it('may be empty, and has no budgets then', () => {
    const { registry, pools, budgets } = loadConfig({})
    expect([Object.keys(registry.snapshot()), pools, budgets]).toEqual([[], {}, undefined])
  })

  it('has defaults that hold for all of its dependencies, and for those that are made later', () => {
    const { registry } = loadConfig(
      { defaults: { bulkhead: { slots: 3 } }, dependencies: { feed: {}, stats: { bulkhead: { slots: 9 } } } },
      { defaults: { circuit: { isFailure: () => false } } },
    )
    const slots = [registry.get('feed'), registry.get('stats'), registry.dependency('later')]
    expect(slots.map((one) => one?.health().slots.capacity)).toEqual([3, 9, 3])
  })

  it('gives budgets the clock of the registry', async () => {
    const clock = new ManualClock()
    const { budgets } = loadConfig({ budgets: { slots: 1, classes: { pages: {} } } }, { clock })
    budgets.pause('pages', { reason: 'rehearsal', for: 1_000 })
    await clock.advance(1_000)
    expect(budgets.usage().classes['pages']?.paused).toBeUndefined()
  })

  it('is not changed, and neither is the code', () => {
    const freeze = (value: unknown): unknown => {
      if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freeze)
      return value
    }
    expect(() => loadConfig(freeze(structuredClone(whole)), freeze({ code }) as object)).not.toThrow()
  })
})

describe('what is in the code', () => {
  it('goes into the group of the same name', async () => {
    const { registry } = loadConfig(
      { dependencies: { feed: { circuit: { consecutiveFailures: 1 } } } },
      { code: { feed: { circuit: { isFailure: ({ value }) => value === 'bad' } } } },
    )
    await registry.get('feed')!.run(() => 'bad')
    expect(registry.get('feed')!.mode).toBe('unavailable')
  })

  it('may be invariants and a pool of its own', () => {
    const pool = createPool({ name: 'elsewhere', slots: 4 })
    loadConfig(
      { dependencies: { feed: { bulkhead: { guaranteed: 2 } } } },
      { code: { feed: { bulkhead: { pool }, invariants: [monotonic('ids', () => 1)] } } },
    )
    expect(pool.usage().members['feed']?.guaranteed).toBe(2)
  })

  it('must be of a dependency in the file', () => {
    expect(problem(whole, { code: { ...code, fed: {} } })[0]).toBe('code.fed')
    expect(problem({}, { code: { toString: {} } })[0]).toBe('code.toString')
  })

  it('must not be in the file too', () => {
    expect(problem(whole, { code: { feed: { ...code.feed, timeout: 500 } } })).toEqual([
      'dependencies.feed.timeout',
      'dependencies.feed.timeout: is said in the code too',
    ])
    expect(problem(whole, { code: { feed: { probe: { run, every: 5 } } } })[0]).toBe('dependencies.feed.probe.every')
    expect(problem({ defaults: { timeout: 5 } }, { defaults: { timeout: 5 } })[0]).toBe('defaults.timeout')
  })
})

describe('what is wrong with a file', () => {
  it.each<[path: string, file: unknown]>([
    ['file', null],
    ['file', []],
    ['dependency', { dependency: {} }],
    ['defaults', { defaults: 5 }],
    ['defaults.timeout', { defaults: { timeout: '5s' } }],
    ['defaults.probe', { defaults: { probe: { run } } }],
    ['defaults.bulkhead.pool', { defaults: { bulkhead: { pool: 'db' } } }],
    ['pools.db', { pools: { db: 10 } }],
    ['pools.db.slots', { pools: { db: {} } }],
    ['pools.db.slots', { pools: { db: { slots: 0 } } }],
    ['pools.db.name', { pools: { db: { slots: 5, name: 'other' } } }],
    ['budgets.slots', { budgets: { classes: { pages: {} } } }],
    ['budgets.clock', { budgets: { slots: 5, classes: { pages: {} }, clock: {} } }],
    ['budgets.classes', { budgets: { slots: 5, classes: {} } }],
    ['budgets.otherwise', { budgets: { slots: 5, classes: { pages: {} }, otherwise: 'page' } }],
    ['budgets.classes.pages.guarantee', { budgets: { slots: 5, classes: { pages: { guarantee: 5 } } } }],
    ['budgets.classes.pages.guaranteed', { budgets: { slots: 5, classes: { pages: { guaranteed: 6 } } } }],
    ['dependencies', { dependencies: ['feed'] }],
    ['dependencies', parsed('{ "dependencies": { "__proto__": {} } }')],
    ['dependencies.feed', { dependencies: { feed: true } }],
    ['dependencies.feed', parsed('{ "dependencies": { "feed": { "__proto__": {} } } }')],
    ['dependencies.feed.timeouts', { dependencies: { feed: { timeouts: 5 } } }],
    ['dependencies.feed.timeout', { dependencies: { feed: { timeout: null } } }],
    ['dependencies.zdz-feed.circuit.failureRate', { dependencies: { 'zdz-feed': { circuit: { failureRate: 2 } } } }],
    ['dependencies.feed.total', { dependencies: { feed: { timeout: 9, total: 5 } } }],
    ['dependencies.feed.probe.run', { dependencies: { feed: { probe: { every: 5 } } } }],
    ['dependencies.feed.probe.run', { dependencies: { feed: { probe: { run: 'fetch' } } } }],
    ['dependencies.feed.invariants.0', { dependencies: { feed: { invariants: ['ids'] } } }],
    [
      'dependencies.feed.bulkhead.pool',
      { pools: { db: { slots: 5 } }, dependencies: { feed: { bulkhead: { pool: 'd' } } } },
    ],
    ['dependencies.feed.bulkhead.pool', { dependencies: { feed: { bulkhead: { pool: 5 } } } }],
    ['dependencies.feed.bulkhead.pool', { dependencies: { feed: { bulkhead: { pool: {} } } } }],
    ['dependencies.list.name', { dependencies: { list: {} } }],
    ['dependencies.b.dependsOn', { dependencies: { a: { dependsOn: ['b'] }, b: { dependsOn: ['a'] } } }],
    [
      'dependencies.b.bulkhead.guaranteed',
      {
        pools: { db: { slots: 10 } },
        dependencies: {
          a: { bulkhead: { pool: 'db', guaranteed: 6 } },
          b: { bulkhead: { pool: 'db', guaranteed: 6 } },
        },
      },
    ],
  ])('is told by its place: %s', (path, file) => {
    const [told, message] = problem(file)
    expect(told).toBe(path)
    expect(message.startsWith(`${path}: `)).toBe(true)
  })

  it('is told in the words of the option', () => {
    expect(problem({ dependencies: { feed: { circuit: { failureRate: 2 } } } })[1]).toBe(
      'dependencies.feed.circuit.failureRate: must be a ratio, more than 0 and at most 1, got 2',
    )
    const pooled = { pools: { db: { slots: 1 }, http: { slots: 1 } }, defaults: { bulkhead: { pool: 'bd' } } }
    expect(problem(pooled)[1]).toBe('defaults.bulkhead.pool: must name a pool: db, http')
  })

  it('is no place in the file when it is in the options', () => {
    expect(problem({}, { clocks: 5 } as never)[0]).toBe('clocks')
    expect(problem({}, { code: { feed: 5 } } as never)[0]).toBe('code.feed')
  })

  it('leaves nothing behind: no timer, no probe', async () => {
    const clock = new ManualClock()
    let probed = 0
    const dependencies = { feed: { probe: { every: 100 } }, last: { timeout: -1 } }
    expect(problem({ dependencies }, { clock, code: { feed: { probe: { run: () => probed++ } } } })[0]).toBe(
      'dependencies.last.timeout',
    )
    await clock.advance(60_000)
    expect([probed, clock.pending()]).toEqual([0, 0])
  })
})

// `npm run types` reads this file: a line that compiles although it should not is an error there.

describe('the names in a file', () => {
  it('are known to the compiler where the file is', () => {
    const { pools, budgets } = loadConfig({
      pools: { db: { slots: 10 } },
      budgets: { slots: 20, classes: { pages: {}, stats: {} } },
    })
    expectTypeOf(pools).toEqualTypeOf<Readonly<Record<'db', Pool>>>()
    expectTypeOf(budgets).toEqualTypeOf<Budgets<'pages' | 'stats'>>()
    // @ts-expect-error misspelled
    expect(() => loadConfig({ dependencies: { feed: {} } }, { code: { fed: {} } })).toThrow('code.fed')
  })

  it('are any where it comes from elsewhere, and there may be no budgets', () => {
    const { pools, budgets } = loadConfig(parsed('{}'))
    expectTypeOf(pools).toEqualTypeOf<Readonly<Record<string, Pool>>>()
    expectTypeOf(budgets).toEqualTypeOf<Budgets | undefined>()
    expectTypeOf(loadConfig(JSON.parse('{}')).budgets).toEqualTypeOf<Budgets | undefined>()
    expect([pools, budgets]).toEqual([{}, undefined])
  })
})
