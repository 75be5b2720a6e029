import { describe, expect, it } from 'vitest'
import type { RegistryEvents } from '../../src/index.js'
import { settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { rig } from '../support/rig.js'

function watched(...args: Parameters<typeof rig>) {
  const [options, clock] = args
  const feed = rig({ timeout: 100_000, longCall: 1_000, bulkhead: { slots: 2_000 }, ...options }, clock)
  const told: RegistryEvents['longCall'][] = []
  feed.registry.on('longCall', (event) => told.push(event))
  return Object.assign(feed, { told })
}

describe('a call that runs for longer than the limit', () => {
  it('is told of when it does, once, with its class and label and nothing private', async () => {
    const feed = watched()
    watch(feed.call({ class: 'pages', label: 'front page' }))
    await feed.clock.advance(999)
    expect(feed.told).toEqual([])
    await feed.clock.advance(1)
    const first = {
      dependency: 'feed',
      operation: 'load',
      class: 'pages',
      label: 'front page',
      attempt: 1,
      ranFor: 1_000,
      callerGone: false,
    }
    expect(feed.told).toEqual([first])
    expect(Object.isFrozen(feed.told[0])).toBe(true)
    await feed.clock.advance(60_000)
    expect(feed.told).toHaveLength(1)
  })

  it('is told of although its caller has gone and its slot was taken back', async () => {
    const feed = watched({ timeout: 100, bulkhead: { reclaimAfter: 200 } })
    watch(feed.call())
    await feed.clock.advance(1_000)
    expect(feed.told).toMatchObject([{ callerGone: true, ranFor: 1_000 }])
  })

  it('is told of while it goes straight through a dependency that is disabled', async () => {
    const feed = watched()
    feed.registry.disable('feed')
    watch(feed.call())
    await feed.clock.advance(1_000)
    expect(feed.told).toHaveLength(1)
  })

  it('counts from the beginning of its work, not from when it began to wait for a slot', async () => {
    const feed = watched({ bulkhead: { slots: 1, maxWait: 60_000 } })
    watch(feed.call())
    watch(feed.call())
    await feed.clock.advance(800)
    feed.begun[0]!.open('ok')
    await feed.clock.advance(999)
    expect(feed.told).toEqual([])
    await feed.clock.advance(1)
    expect(feed.told).toMatchObject([{ ranFor: 1_000 }])
  })

  it('is told of at its own time, however many run beside it', async () => {
    const feed = watched()
    for (let i = 0; i < 100; i++) {
      watch(feed.call({ label: String(i) }))
      await feed.clock.advance(7)
    }
    for (const i of [3, 50, 99]) feed.begun[i]!.open('ok')
    await feed.clock.advance(2_000)
    expect(feed.told.map(({ label }) => Number(label))).toEqual(
      Array.from({ length: 100 }, (_, i) => i).filter((i) => ![3, 50, 99].includes(i)),
    )
    expect(feed.told.every(({ ranFor }) => ranFor >= 1_000 && ranFor < 1_002)).toBe(true)
  })

  it('does not hide those that come after it', async () => {
    const feed = watched()
    watch(feed.call({ label: 'hung' }))
    await feed.clock.advance(10_000)
    watch(feed.call({ label: 'next' }))
    await feed.clock.advance(1_000)
    watch(feed.call({ label: 'quick' }))
    feed.begun[2]!.open('ok')
    await feed.clock.advance(10_000)
    expect(feed.told.map(({ label }) => label)).toEqual(['hung', 'next'])
  })

  it('does not hide one that a listener begins when it is told', async () => {
    const feed = watched()
    feed.registry.on('longCall', ({ label }) => {
      if (label === 'first') watch(feed.call({ label: 'second' }))
    })
    watch(feed.call({ label: 'first' }))
    await feed.clock.advance(2_000)
    expect(feed.told.map(({ label, ranFor }) => [label, ranFor])).toEqual([
      ['first', 1_000],
      ['second', 1_000],
    ])
  })

  it('has twice the timeout unless told otherwise', async () => {
    const feed = watched({ timeout: 300, longCall: undefined as never })
    watch(feed.call())
    await feed.clock.advance(599)
    expect(feed.told).toEqual([])
    await feed.clock.advance(1)
    expect(feed.told).toHaveLength(1)
  })
})

describe('calls that are quick', () => {
  it('are told of by nobody, and leave no timer when they are over', async () => {
    const feed = watched({ timeout: 1_500 })
    for (let i = 0; i < 20; i++) await feed.succeed(1, 300)
    await feed.clock.advance(2_000)
    expect([feed.told, feed.clock.pending()]).toEqual([[], 0])
  })

  it('cost one appointment for all that run within the limit', async () => {
    const feed = watched()
    for (let i = 0; i < 1_000; i++) watch(feed.call())
    // The stall watch, the timeouts, and one look at the list.
    expect(feed.clock.pending()).toBe(3)
    for (const work of feed.begun) work.open('ok')
    await settle()
    await feed.clock.advance(1_000)
    expect(feed.told).toEqual([])
  })
})

describe('another limit', () => {
  it('that is longer holds for what runs already too', async () => {
    const feed = watched()
    watch(feed.call())
    await feed.clock.advance(500)
    feed.registry.configure('feed', { longCall: 3_000 })
    await feed.clock.advance(2_499)
    expect(feed.told).toEqual([])
    await feed.clock.advance(1)
    expect(feed.told).toMatchObject([{ ranFor: 3_000 }])
  })

  it('tells nobody twice', async () => {
    const feed = watched()
    watch(feed.call())
    await feed.clock.advance(1_000)
    for (const longCall of [2_000, 500, 100]) {
      feed.registry.configure('feed', { longCall })
      await feed.clock.advance(5_000)
    }
    expect(feed.told).toHaveLength(1)
  })

  it('where nothing runs sets no timer', () => {
    const feed = watched()
    feed.registry.configure('feed', { longCall: 2_000 })
    expect(feed.clock.pending()).toBe(0)
  })
})

describe('after the end', () => {
  it('nobody is told of what still runs, and no timer is left', async () => {
    const feed = watched({ bulkhead: { reclaimAfter: 100 } })
    watch(feed.call())
    const closing = watch(feed.registry.close({ timeout: 500 }))
    await feed.clock.advance(500)
    expect(closing.state).toBe('resolved')
    await feed.clock.advance(10_000)
    expect([feed.told, feed.clock.pending()]).toEqual([[], 0])
  })
})

describe('inFlight()', () => {
  it('lists work oldest first, with class, label, and the wall time of its beginning', async () => {
    const feed = rig({ timeout: 500 })
    const began = feed.clock.wall()
    watch(feed.call({ class: 'pages', label: 'front page' }))
    await feed.clock.advance(300)
    watch(feed.call())
    await feed.clock.advance(300)
    const seen = feed.dependency.inFlight()
    expect(seen.map((work) => ({ ...work, abort: typeof work.abort }))).toEqual([
      {
        since: began,
        operation: 'load',
        class: 'pages',
        label: 'front page',
        attempt: 1,
        callerGone: true,
        reclaimed: false,
        abort: 'function',
      },
      { since: began + 300, operation: 'load', attempt: 1, callerGone: false, reclaimed: false, abort: 'function' },
    ])
    feed.clock.stepWall(3_600_000)
    expect(feed.dependency.inFlight()[1]!.since).toBe(began + 300 + 3_600_000)
  })

  it('gives whole stamps, as every other stamp is, between two ticks of the wall clock', async () => {
    const feed = rig({ timeout: 500 })
    const began = feed.clock.wall()
    watch(feed.call())
    await feed.clock.advance(0.4)
    watch(feed.call())
    await feed.clock.advance(0.3)
    for (const { since } of feed.dependency.inFlight()) expect([began, began + 1]).toContain(since)
  })

  it("takes the operation's label where the call has none of its own", () => {
    const { dependency } = rig()
    const load = dependency.wrap(() => new Promise(() => undefined), { name: 'stats', label: 'nightly' })
    watch(load())
    watch(load.with({ label: 'by hand' })())
    expect(dependency.inFlight().map(({ label }) => label)).toEqual(['nightly', 'by hand'])
  })

  it('aborts a piece of work: its caller gets an AbortError, and it decides nothing', async () => {
    const feed = rig()
    const call = watch(feed.call())
    feed.dependency.inFlight()[0]!.abort()
    await settle()
    expect(call.error).toMatchObject({ name: 'AbortError', message: 'aborted by an operator' })
    expect(feed.dependency.inFlight()).toMatchObject([{ callerGone: true }])
    feed.dependency.inFlight()[0]!.abort()
    feed.begun[0]!.fail(new Error('stopped'))
    await settle()
    expect(feed.dependency.health()).toMatchObject({ inFlight: 0, window: { calls: 0 }, slots: { busy: 0 } })
  })
})
