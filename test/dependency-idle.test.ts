import { afterEach, beforeEach, describe, expect, it, vi, type MockInstance } from 'vitest'
import { Slots } from '../src/core/slots.js'
import {
  createPool,
  createRegistry,
  identity,
  monotonic,
  OptionError,
  type Dependency,
  type Registry,
} from '../src/index.js'
import { ManualClock } from '../src/testing.js'

/** The slots are one of the parts that each compartment has. */
let made: MockInstance<typeof Slots.pool>

beforeEach(() => {
  made = vi.spyOn(Slots, 'pool')
})
afterEach(() => {
  made.mockRestore()
})

const setUp = (): { clock: ManualClock; registry: Registry; feed: Dependency } => {
  const clock = new ManualClock()
  const registry = createRegistry({ clock })
  return { clock, registry, feed: registry.dependency('feed', { required: true, tags: ['reads'], timeout: 700 }) }
}

describe('a dependency that nobody has used', () => {
  it('has none of its parts, whoever asks how it is', () => {
    const { registry, feed } = setUp()
    const load = feed.wrap(() => 'value', {
      name: 'load',
      key: () => 'a',
      scope: 'public',
      fallback: { value: 'none' },
    })
    registry.on('longCall', () => undefined)
    registry.dependency('child', { dependsOn: ['feed'] })
    registry.configure('feed', { timeout: 600 })
    registry.clearMode('feed')
    registry.enable('feed')
    registry.stopInjecting('feed')
    expect(feed.mode).toBe('available')
    expect(feed.tags).toEqual(['reads'])
    expect(feed.inFlight()).toEqual([])
    expect(registry.snapshot()['feed']).toMatchObject({ mode: 'available', circuit: 'closed', available: true })
    expect(registry.ready()).toEqual({ ready: true, leaving: false, waitingFor: [] })
    expect(load.operation).toBe('load')
    expect(made).not.toHaveBeenCalled()
  })

  it.each<[string, (feed: Dependency, registry: Registry) => unknown]>([
    ['a call', (feed) => feed.run(() => 1)],
    ['a look at its health', (feed) => feed.health()],
    ['a look at its opossum', (feed) => feed.circuit],
    ['a mode that is forced', (_, registry) => registry.setMode('feed', 'unavailable', { reason: 'upgrade' })],
    ['a switch', (_, registry) => registry.disable('feed')],
    ['a drain', (feed) => feed.drain({ reason: 'repair' })],
  ])('has them from then on: %s', async (_, use) => {
    const { registry, feed } = setUp()
    await use(feed, registry)
    expect(made).toHaveBeenCalledTimes(1)
    feed.health()
    await feed.run(() => 1).catch(() => undefined)
    expect(made).toHaveBeenCalledTimes(1)
  })

  it('is available since it was registered, not since it was first used', async () => {
    const { clock, registry, feed } = setUp()
    const since = clock.wall()
    await clock.advance(5_000)
    expect(registry.snapshot()['feed']!.since).toBe(since)
    expect(feed.health().since).toBe(since)
  })

  it('is used with the settings that it was given last, in place of those it was registered with', async () => {
    const { clock, registry, feed } = setUp()
    registry.configure('feed', { timeout: 300 })
    const hung = feed.run(() => new Promise(() => undefined))
    const told = expect(hung).rejects.toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    await clock.advance(300)
    await told
  })

  it('goes down with its parent, and counts as required then', () => {
    const { registry } = setUp()
    registry.dependency('child', { dependsOn: ['feed'], required: true })
    registry.setMode('feed', 'unavailable', { reason: 'upgrade' })
    expect(registry.snapshot()['child']).toMatchObject({ mode: 'unavailable', reason: 'feed is unavailable' })
    expect(registry.ready().waitingFor).toEqual(['feed', 'child'])
  })

  it('refuses calls once it was closed', async () => {
    const { registry, feed } = setUp()
    const load = feed.wrap(() => 'value')
    await feed.close()
    await expect(load()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(registry.snapshot()['feed']!.mode).toBe('unavailable')
  })

  it('leaves nothing behind where its second-level store can’t be listened to', async () => {
    const { clock, registry } = setUp()
    const pool = createPool({ name: 'db', slots: 4 })
    let probes = 0
    const on = (): never => {
      throw new Error('no events')
    }
    const store = {
      get: () => Promise.resolve(),
      set: () => Promise.resolve(true),
      delete: () => Promise.resolve(true),
      on,
    }
    expect(() =>
      registry.dependency('comments', {
        probe: { run: () => Promise.resolve(probes++), every: 1_000 },
        stale: { store },
        bulkhead: { pool },
      }),
    ).toThrow('no events')
    await clock.advance(5_000)
    expect([probes, clock.pending(), registry.get('comments')]).toEqual([0, 0, undefined])
    expect(pool.usage().members).toEqual({})
  })

  it('may have operations of one name, as long as one at most is cached', () => {
    const { feed } = setUp()
    const load = (): number => 1
    const cached = { key: () => 'a', scope: 'public' } as const
    expect([feed.wrap(load).operation, feed.wrap(load).operation]).toEqual(['load', 'load'])
    expect([feed.wrap(load, cached).operation, feed.wrap(load, cached).operation]).toEqual(['load', 'load-2'])
    expect(() => feed.wrap(load, { ...cached, name: 'load-2' })).toThrow(OptionError)
  })

  it('is told at once when an invariant of an operation contradicts another, and the name stays free', () => {
    const { feed } = setUp()
    const invariant = () => identity('ids', () => 'server', { every: 1_000 })
    const dependency = createRegistry({ clock: new ManualClock() }).dependency('db', { invariants: [invariant()] })
    const wrap = (named: string) =>
      dependency.wrap(() => 1, {
        name: 'next-id',
        key: () => 'a',
        scope: 'public',
        invariant: monotonic(named, { of: (id: number) => id }),
      })
    expect(() => wrap('ids')).toThrow(OptionError)
    expect(wrap('other ids').operation).toBe('next-id')
    expect(feed.mode).toBe('available')
  })
})

describe('what an operation has besides being called', () => {
  it('works without the operation, and can be replaced for a test', async () => {
    const { feed } = setUp()
    const load = feed.wrap((_context, id: string) => `value of ${id}`, { key: (id) => id, scope: 'public' })
    const parts = { ...load }
    expect(parts.operation).toBe('operation')
    expect(await parts.outcome('a')).toMatchObject({ value: 'value of a', source: 'live' })
    expect(await parts.with({ timeout: 50 })('b')).toBe('value of b')
    parts.refresh(['a'], { every: 1_000 }).stop()
    expect(load.cache).toBe(parts.cache)
    expect(load.cache.counts()).toMatchObject({ written: 2 })
    vi.spyOn(load, 'outcome').mockResolvedValue({ value: 'mocked', source: 'live', stale: false, age: 0 })
    expect(await load.outcome('a')).toMatchObject({ value: 'mocked' })
    const other = { ...load.cache, counts: () => ({ written: 7 }) }
    Object.assign(load, { cache: other })
    expect(load.cache).toBe(other)
  })
})
