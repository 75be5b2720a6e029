import { describe, expect, it } from 'vitest'
import { createPool, createRegistry, type DependencyChanges, type DependencyOptions } from '../src/index.js'
import { ManualClock, settle } from '../src/testing.js'
import { watch } from './support/calls.js'
import { probed } from './support/probed.js'
import { rig } from './support/rig.js'

const configure = (feed: ReturnType<typeof rig>, changes: DependencyChanges): void => {
  feed.registry.configure('feed', changes)
}

describe('a change at run time holds for operations that are wrapped already', () => {
  it('timeout: from the next attempt on, and what is derived from it follows', async () => {
    const feed = rig({ timeout: 1_000 })
    const before = watch(feed.call())
    configure(feed, { timeout: 200 })
    const after = watch(feed.call())
    await feed.clock.advance(200)
    expect([before.state, after.state]).toEqual(['pending', 'rejected'])
    expect(after.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    await feed.clock.advance(800)
    expect(before.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    expect(feed.dependency.settings).toMatchObject({ longCall: 400, bulkhead: { reclaimAfter: 2_000 } })
  })

  it('timeout: not for an operation that has its own', async () => {
    const { clock, registry, dependency } = rig()
    const slow = dependency.wrap(() => new Promise(() => undefined), { timeout: 5_000 })
    registry.configure('feed', { timeout: 100 })
    const call = watch(slow())
    await clock.advance(4_999)
    expect(call.state).toBe('pending')
    await clock.advance(1)
    expect(call.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
  })

  it('total', async () => {
    const feed = rig()
    configure(feed, { timeout: 50, total: 70, bulkhead: { slots: 1, maxWait: 5_000 } })
    watch(feed.call())
    const waiting = watch(feed.call())
    await feed.clock.advance(69)
    expect(waiting.state).toBe('pending')
    await feed.clock.advance(1)
    expect(waiting.error).toMatchObject({ code: 'ERR_DEADLINE' })
  })

  it('slots: those who wait are let in at once, or what is held beyond them is not handed out again', async () => {
    const feed = rig({ bulkhead: { slots: 1, maxWait: 60_000 }, timeout: 60_000 })
    for (let i = 0; i < 4; i++) watch(feed.call())
    expect(feed.begun).toHaveLength(1)
    configure(feed, { bulkhead: { slots: 3 } })
    await settle()
    expect([feed.begun.length, feed.dependency.health().waiters]).toEqual([3, 1])
    configure(feed, { bulkhead: { slots: 1 } })
    feed.begun[0]!.open('ok')
    await settle()
    expect(feed.begun).toHaveLength(3)
    expect(feed.dependency.health().slots).toMatchObject({ busy: 2, capacity: 1 })
  })

  it('queue and maxWait', async () => {
    const feed = rig({ bulkhead: { slots: 1, queue: 0 } })
    watch(feed.call())
    await expect(feed.call()).rejects.toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    configure(feed, { bulkhead: { queue: 1, maxWait: 40 } })
    const waiting = watch(feed.call())
    await expect(feed.call()).rejects.toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    await feed.clock.advance(40)
    expect(waiting.error).toMatchObject({ code: 'ERR_QUEUE_TIMEOUT' })
    expect(feed.dependency.settings.bulkhead.slots).toBe(1)
  })

  it('maxWait, while some wait: they keep the time that they were given', async () => {
    const feed = rig({ timeout: 60_000, bulkhead: { slots: 1, queue: 5, maxWait: 100 } })
    watch(feed.call())
    const first = watch(feed.call())
    configure(feed, { bulkhead: { maxWait: 40 } })
    const second = watch(feed.call())
    await feed.clock.advance(40)
    expect(second.error).toMatchObject({ code: 'ERR_QUEUE_TIMEOUT', message: 'feed: no slot within 40 ms' })
    expect(first.state).toBe('pending')
    await feed.clock.advance(60)
    expect(first.error).toMatchObject({ code: 'ERR_QUEUE_TIMEOUT', message: 'feed: no slot within 100 ms' })
  })

  it('reclaimAfter', async () => {
    const feed = rig({ timeout: 100, bulkhead: { slots: 1, reclaimAfter: 60_000 } })
    configure(feed, { bulkhead: { reclaimAfter: 300 } })
    watch(feed.call())
    await feed.clock.advance(399)
    expect(feed.dependency.health().slots.busy).toBe(1)
    await feed.clock.advance(1)
    expect(feed.dependency.health()).toMatchObject({ slots: { busy: 0 }, counts: { leaks: 1 } })
  })

  it('shares of classes, and their timeouts: each by itself, the others stay', async () => {
    const feed = rig({
      timeout: 5_000,
      bulkhead: {
        slots: 4,
        queue: 0,
        classes: { pages: { guaranteed: 2, timeout: 300 }, feeds: { guaranteed: 1, atMost: 1 } },
      },
    })
    configure(feed, { bulkhead: { classes: { feeds: { atMost: 2 } } } })
    configure(feed, { bulkhead: { classes: { pages: { timeout: 200 } } } })
    expect(Object.fromEntries(feed.dependency.settings.bulkhead.classes)).toEqual({
      pages: { guaranteed: 2, timeout: 200 },
      feeds: { guaranteed: 1, atMost: 2 },
    })
    const page = watch(feed.call({ class: 'pages' }))
    watch(feed.call({ class: 'feeds' }))
    watch(feed.call({ class: 'feeds' }))
    await expect(feed.call({ class: 'feeds' })).rejects.toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    await feed.clock.advance(200)
    expect(page.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    configure(feed, { bulkhead: { classes: { pages: { guaranteed: 4 }, feeds: { guaranteed: 0 } } } })
    await expect(feed.call()).rejects.toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
  })

  it("classes that come from the registry's defaults are changed one by one too", () => {
    const classes = { pages: { guaranteed: 2 }, feeds: { guaranteed: 1 } }
    const registry = createRegistry({ clock: new ManualClock(), defaults: { bulkhead: { slots: 10, classes } } })
    const feed = registry.dependency('feed')
    registry.configure('feed', { bulkhead: { classes: { feeds: { guaranteed: 5 } } } })
    expect(Object.fromEntries(feed.settings.bulkhead.classes)).toEqual({
      pages: { guaranteed: 2 },
      feeds: { guaranteed: 5 },
    })
  })

  it('a share of a pool', () => {
    const registry = createRegistry({ clock: new ManualClock() })
    const pool = createPool({ name: 'db', slots: 10 })
    registry.dependency('one', { bulkhead: { pool, guaranteed: 3 } })
    registry.dependency('two', { bulkhead: { pool, guaranteed: 3 } })
    registry.configure('one', { bulkhead: { guaranteed: 7, atMost: 8, pool } })
    expect(pool.usage().members.one).toMatchObject({ guaranteed: 7, atMost: 8 })
    expect(() => {
      registry.configure('two', { bulkhead: { guaranteed: 4 }, timeout: 7 })
    }).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }) as Error)
    expect(registry.get('two')!.settings).toMatchObject({ timeout: 3_000, bulkhead: { share: { guaranteed: 3 } } })
    expect(pool.usage().members.two).toMatchObject({ guaranteed: 3 })
  })

  it("the circuit's numbers: the window and the mode stay", async () => {
    const feed = rig({ circuit: { minimumCalls: 20, consecutiveFailures: 100 } })
    await feed.failing(9)
    await feed.succeed(1)
    configure(feed, { circuit: { minimumCalls: 12, failureRate: 0.8 } })
    expect(feed.dependency.health()).toMatchObject({ mode: 'available', window: { calls: 10, failures: 9 } })
    await feed.failing(1)
    expect(feed.dependency.mode).toBe('available')
    await feed.failing(1)
    expect(feed.dependency.mode).toBe('unavailable')
    configure(feed, { circuit: { openFor: 60_000, minimumCalls: 100 } })
    expect(feed.dependency.health()).toMatchObject({ circuit: 'open', mode: 'unavailable', retryAfter: 5_000 })
    await feed.clock.advance(5_000)
    await feed.succeed()
    await feed.clock.advance(20_000)
    configure(feed, { circuit: { consecutiveFailures: 1 } })
    await feed.failing(1)
    expect(feed.dependency.health().retryAfter).toBe(60_000)
  })

  it('another window: what was counted stays', async () => {
    const feed = rig()
    await feed.failing(3)
    await feed.succeed(3)
    for (const window of [{ calls: 50 }, 60_000, { calls: 6 }] as const) {
      configure(feed, { circuit: { window } })
      expect(feed.dependency.health().window).toMatchObject({ calls: 6, failures: 3 })
    }
  })

  it('isFailure', async () => {
    const feed = rig()
    configure(feed, { circuit: { isFailure: ({ value }) => value === 'ok' } })
    await feed.succeed(1)
    expect(feed.dependency.health().counts).toMatchObject({ failures: 1 })
  })

  it('enforce: off opens at once what was only unavailable by rule; on closes it again', async () => {
    const feed = rig({ circuit: { openFor: 600_000 } })
    const flips: unknown[] = []
    feed.registry.on('flip', ({ mode, cause, enforced }) => flips.push([mode, cause.reason, enforced]))
    await feed.failing(10)
    configure(feed, { enforce: false })
    expect(feed.dependency.health()).toMatchObject({ mode: 'available', wouldBe: 'unavailable', circuit: 'open' })
    await feed.succeed(1)
    configure(feed, { enforce: true })
    await expect(feed.call()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(flips).toEqual([
      ['unavailable', '10 calls failed in a row', true],
      ['available', 'configured', true],
      ['unavailable', '10 calls failed in a row', true],
    ])
  })

  it('required and tags', () => {
    const feed = rig()
    feed.registry.setMode('feed', 'unavailable', { reason: 'upgrade' })
    expect(feed.registry.ready().ready).toBe(true)
    configure(feed, { required: true, tags: ['reads'] })
    expect(feed.registry.ready().waitingFor).toEqual(['feed'])
    feed.registry.clearMode({ tag: 'reads' })
    expect(feed.registry.ready().ready).toBe(true)
    configure(feed, { tags: [] })
    expect(() => {
      feed.registry.clearMode({ tag: 'reads' })
    }).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }) as Error)
  })

  it('probe: any part of it by itself', async () => {
    const feed = probed({ every: 60_000, timeout: 100, failures: 3 })
    feed.registry.configure('feed', { probe: { every: 1_000 } })
    await feed.clock.advance(10_000)
    expect(feed.asked).toHaveLength(10)
    feed.answer = 'hang'
    feed.registry.configure('feed', { probe: { failures: 1, timeout: 500 } })
    await feed.clock.advance(999)
    expect(feed.dependency.mode).toBe('available')
    await feed.clock.advance(1)
    expect(feed.dependency.mode).toBe('unavailable')
  })

  it('probe: where there was none', async () => {
    const { clock, registry, dependency } = rig()
    registry.configure('feed', { probe: { run: () => Promise.reject(new Error('no')), every: 1_000, failures: 1 } })
    await clock.advance(1_000)
    expect(dependency.mode).toBe('unavailable')
    expect(() => {
      const other = createRegistry()
      other.dependency('feed')
      other.configure('feed', { probe: { every: 1_000 } })
    }).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path: 'probe.run' }) as Error)
  })

  it('longCall: for what is in flight already too', async () => {
    const feed = rig({ timeout: 60_000 })
    const told: number[] = []
    feed.registry.on('longCall', ({ ranFor }) => told.push(ranFor))
    watch(feed.call())
    await feed.clock.advance(1_000)
    configure(feed, { longCall: 1_500 })
    await feed.clock.advance(499)
    expect(told).toEqual([])
    await feed.clock.advance(1)
    expect(told).toEqual([1_500])
  })
})

describe('a change that is refused', () => {
  const bad: [string, object][] = [
    ['timeout', { timeout: 0 }],
    ['retries', { retries: 1 }],
    ['total', { total: 100 }],
    ['bulkhead.size', { bulkhead: { size: 1 } }],
    ['bulkhead.classes', { bulkhead: { slots: 1 } }],
    ['bulkhead.classes.pages.guaranteed', { bulkhead: { classes: { pages: { atMost: 1 } } } }],
    ['circuit.minimumCalls', { circuit: { window: { calls: 10 }, minimumCalls: 11 } }],
    ['circuit.openForAtMost', { circuit: { openFor: 90_000, openForAtMost: 80_000 } }],
    ['circuit.warnRate', { circuit: { warnRate: 0.5, failureRate: 0.5 } }],
    ['probe.timeout', { probe: { timeout: 6_000 } }],
    ['probe.everyone', { probe: { everyone: 1 } }],
    ['dependsOn', { dependsOn: ['feed'] }],
    ['tags.1', { tags: ['a', ''] }],
    ['longCall', { longCall: -1 }],
    // What is fixed.
    ['stale', { stale: { max: 1 } }],
    ['invariants', { invariants: [] }],
    ['bulkhead.pool', { bulkhead: { pool: createPool({ name: 'db', slots: 10 }), slots: undefined } }],
    ['bulkhead.classes.feeds', { bulkhead: { classes: { feeds: { guaranteed: 0 } } } }],
  ]
  it.each(bad)('because of %s changes nothing, and is not written down', (path, changes) => {
    const given: DependencyOptions = {
      timeout: 500,
      circuit: { openFor: 1_000 },
      probe: { run: () => undefined, every: 5_000 },
      ...(path === 'bulkhead.pool' ? {} : { bulkhead: { slots: 10, classes: { pages: { guaranteed: 2 } } } }),
    }
    const registry = createRegistry({ clock: new ManualClock() })
    const feed = registry.dependency('feed', given)
    const { settings } = feed
    expect(() => {
      registry.configure('feed', { longCall: 77, required: true, ...changes })
    }).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path }) as Error)
    expect(feed.settings).toBe(settings)
    expect([feed.required, feed.health().slots.capacity, registry.history()]).toEqual([
      false,
      path === 'bulkhead.pool' ? 50 : 10,
      [],
    ])
  })

  it.each([[null], [undefined], [5], ['fast'], [[]]])('because it is %o', (changes) => {
    const registry = createRegistry({ clock: new ManualClock() })
    registry.dependency('feed')
    expect(() => {
      registry.configure('feed', changes as never)
    }).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }) as Error)
  })

  it('because nobody has that name', () => {
    expect(() => {
      createRegistry().configure('feed', {})
    }).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path: 'name' }) as Error)
  })

  it('because its slots are a pool of the defaults, which it can not leave', () => {
    const pool = createPool({ name: 'db', slots: 10 })
    const registry = createRegistry({ clock: new ManualClock(), defaults: { bulkhead: { pool } } })
    registry.dependency('feed')
    expect(() => {
      registry.configure('feed', { bulkhead: { slots: 5 } })
    }).toThrow(expect.objectContaining({ path: 'bulkhead.pool' }) as Error)
    expect(pool.usage().members.feed).toMatchObject({ atMost: 10 })
  })
})

describe('a change', () => {
  it('is written down by what it named, with nothing of its values', () => {
    const feed = rig()
    configure(feed, { timeout: 500, tags: ['secret'] })
    expect(feed.registry.history()).toMatchObject([
      { kind: 'configure', mode: 'available', cause: { kind: 'operator', reason: 'configured: timeout, tags' } },
    ])
  })

  it('adds to those before; what is given as undefined is not given', () => {
    const feed = rig({ timeout: 500, bulkhead: { slots: 7 }, circuit: { failureRate: 0.7 } })
    configure(feed, { bulkhead: { queue: 3, slots: undefined }, timeout: undefined } as never)
    configure(feed, { circuit: { slowRate: 0.9, failureRate: undefined } } as never)
    expect(feed.dependency.settings).toMatchObject({
      timeout: 500,
      bulkhead: { slots: 7, queue: 3 },
      circuit: { failureRate: 0.7, slowRate: 0.9 },
    })
  })

  it('does not touch the object that was given, now or later', () => {
    const feed = rig()
    const changes = { bulkhead: { slots: 3 }, tags: ['a'] }
    configure(feed, changes)
    changes.bulkhead.slots = 9
    changes.tags.push('b')
    expect(feed.dependency.settings).toMatchObject({ bulkhead: { slots: 3 }, tags: ['a'] })
  })

  it('of nothing changes nothing', async () => {
    const feed = rig({ circuit: { openFor: 60_000 }, probe: { run: () => undefined, every: 1_000 } })
    const before = { ...feed.dependency.settings }
    await feed.failing(10)
    configure(feed, {})
    expect(feed.dependency.settings).toEqual(before)
    expect(feed.dependency.health()).toMatchObject({ circuit: 'open', retryAfter: 60_000 })
  })
})
