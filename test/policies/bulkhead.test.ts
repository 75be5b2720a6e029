import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import {
  BulkheadFullError,
  bulkhead,
  compose,
  createPool,
  createRegistry,
  DeadlineError,
  OptionError,
  QueueTimeoutError,
  timeout,
  type DependencyOptions,
  type RegistryEvents,
} from '../../src/index.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate, type Gate } from '../support/gate.js'
import { rig } from '../support/rig.js'

const calm: NonNullable<DependencyOptions['circuit']> = { consecutiveFailures: false, minimumCalls: 1_000_000 }

/** One slot, a line of two, and what leaked. */
function narrow(options: DependencyOptions = {}, clock = new ManualClock()) {
  const size = options.bulkhead?.pool === undefined ? { slots: 1 } : {}
  const bulkhead = { ...size, queue: 2, maxWait: 50, reclaimAfter: 1_000, ...options.bulkhead }
  const made = rig({ timeout: 100, circuit: calm, ...options, bulkhead }, clock)
  const leaks: RegistryEvents['leak'][] = []
  made.registry.on('leak', (leak) => leaks.push(leak))
  return { ...made, leaks, figures: () => made.dependency.health() }
}

describe('work that has timed out', () => {
  it('keeps its slot while it runs, and gives it back when it ends', async () => {
    const { clock, call, begun, figures } = narrow()
    const late = watch(call())
    await clock.advance(100)
    expect(late.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    expect(figures()).toMatchObject({ slots: { busy: 1 }, inFlight: 1 })
    const next = watch(call())
    await settle()
    expect(begun).toHaveLength(1)
    begun[0]!.open('late')
    await settle()
    expect(begun).toHaveLength(2)
    begun[1]!.open('in time')
    await settle()
    expect(next.value).toBe('in time')
    expect(figures()).toMatchObject({ slots: { busy: 0 }, inFlight: 0, counts: { lates: 1, leaks: 0 } })
  })

  it('gives its slot back when it fails late, too', async () => {
    const { clock, call, begun, figures } = narrow()
    watch(call())
    await clock.advance(100)
    begun[0]!.fail(new Error('late'))
    await settle()
    expect(figures()).toMatchObject({ slots: { busy: 0 }, counts: { lates: 1, timeouts: 1, failures: 1 } })
  })

  it('loses its slot after reclaimAfter, counted and reported as a leak, and is still listed until it ends', async () => {
    const { clock, call, begun, figures, dependency, leaks } = narrow()
    watch(call({ class: 'pages', label: 'home' }))
    await clock.advance(100)
    await clock.advance(999)
    expect([figures().slots.busy, leaks]).toEqual([1, []])
    await clock.advance(1)
    expect(figures()).toMatchObject({ slots: { busy: 0 }, inFlight: 1, counts: { leaks: 1 } })
    expect(leaks).toEqual([{ dependency: 'feed', operation: 'load', class: 'pages', label: 'home', attempt: 1 }])
    expect(dependency.inFlight()).toMatchObject([{ operation: 'load', callerGone: true, reclaimed: true }])
    begun[0]!.open('very late')
    await settle()
    expect(figures()).toMatchObject({ slots: { busy: 0 }, inFlight: 0, counts: { leaks: 1, lates: 1 } })
    watch(call())
    expect(figures().slots.busy).toBe(1)
  })

  it('is not reclaimed once it has ended', async () => {
    const { clock, call, begun, figures, leaks } = narrow()
    watch(call())
    await clock.advance(100)
    await clock.advance(500)
    begun[0]!.open('late')
    await settle()
    const second = watch(call())
    await clock.advance(99)
    begun[1]!.open('ok')
    await clock.advance(5_000)
    expect(second.value).toBe('ok')
    expect([leaks, figures().slots.busy]).toEqual([[], 0])
  })

  it('makes room for a waiter when it is reclaimed', async () => {
    const { clock, call, begun } = narrow({ bulkhead: { maxWait: 5_000 } })
    watch(call())
    await clock.advance(100)
    watch(call())
    await clock.advance(999)
    expect(begun).toHaveLength(1)
    await clock.advance(1)
    expect(begun).toHaveLength(2)
  })
})

describe('work whose caller has left', () => {
  it('keeps its slot until it ends, is listed as such, and reclaimAfter counts from the leaving', async () => {
    const { clock, call, begun, figures, dependency, leaks } = narrow({ timeout: 800, bulkhead: { reclaimAfter: 500 } })
    const controller = new AbortController()
    const left = watch(call({ signal: controller.signal, label: 'mine' }))
    await clock.advance(400)
    expect(dependency.inFlight()).toMatchObject([{ callerGone: false, reclaimed: false, since: clock.wall() - 400 }])
    const reason = new Error('gone')
    controller.abort(reason)
    await settle()
    expect(left.error).toBe(reason)
    expect(dependency.inFlight()).toMatchObject([{ callerGone: true, reclaimed: false, label: 'mine', attempt: 1 }])
    await clock.advance(499)
    expect([figures().slots.busy, leaks.length]).toEqual([1, 0])
    await clock.advance(1)
    expect([figures().slots.busy, leaks.length]).toEqual([0, 1])
    expect(begun).toHaveLength(1)
  })

  it('can be aborted by an operator, and so can work whose caller still waits', async () => {
    const { call, dependency, figures, clock } = narrow()
    const waiting = watch(call())
    dependency.inFlight()[0]!.abort()
    await settle()
    expect(waiting.error).toMatchObject({ name: 'AbortError' })
    expect(figures()).toMatchObject({ slots: { busy: 1 }, counts: { aborts: 1, failures: 0 } })
    dependency.inFlight()[0]!.abort()
    await clock.advance(1_000)
    expect(figures()).toMatchObject({ slots: { busy: 0 }, counts: { aborts: 1, leaks: 1 } })
  })
})

describe('the line', () => {
  it('lets wait as many as it has room for, and refuses the rest at once', async () => {
    const { call, begun, figures } = narrow()
    const calls = Array.from({ length: 4 }, () => watch(call()))
    await settle()
    expect(calls.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending', 'rejected'])
    expect(calls[3]!.error).toBeInstanceOf(BulkheadFullError)
    expect(calls[3]!.error).toMatchObject({
      code: 'ERR_BULKHEAD_FULL',
      dependency: 'feed',
      message: 'feed: every slot is taken, and 2 wait',
    })
    expect(figures()).toMatchObject({ slots: { busy: 1 }, waiters: 2, counts: { full: 1, failures: 0 } })
    expect(figures().window.calls).toBe(0)
    expect(begun).toHaveLength(1)
  })

  it('of no room refuses at once when every slot is taken', async () => {
    const { call, begun } = narrow({ bulkhead: { queue: 0 } })
    watch(call())
    await expect(call()).rejects.toBeInstanceOf(BulkheadFullError)
    begun[0]!.open('ok')
    await settle()
    watch(call())
    expect(begun).toHaveLength(2)
  })

  it('sends away who has waited for maxWait, and that judges nobody', async () => {
    const { call, clock, begun, figures } = narrow()
    watch(call())
    await clock.advance(20)
    const waiter = watch(call())
    await clock.advance(49)
    expect(waiter.state).toBe('pending')
    await clock.advance(1)
    expect(waiter.error).toBeInstanceOf(QueueTimeoutError)
    expect(waiter.error).toMatchObject({ code: 'ERR_QUEUE_TIMEOUT', message: 'feed: no slot within 50 ms' })
    expect(figures()).toMatchObject({ waiters: 0, counts: { queueTimeouts: 1, failures: 0, timeouts: 0 } })
    begun[0]!.open('ok')
    await settle()
    expect([begun.length, figures().slots.busy]).toEqual([1, 0])
  })

  it('has one timer for all who wait, each of whom goes in his own time', async () => {
    const { call, clock, figures } = narrow({ bulkhead: { queue: 100 } })
    watch(call())
    const timers = clock.pending()
    const waiters = []
    for (let i = 0; i < 40; i++) {
      waiters.push(watch(call()))
      await clock.advance(1)
    }
    expect(clock.pending() - timers).toBe(1)
    await clock.advance(49 - 40)
    expect(waiters.filter(({ state }) => state !== 'pending')).toHaveLength(0)
    await clock.advance(20)
    expect(waiters.map(({ state }) => state)).toEqual([
      ...Array.from({ length: 20 }, () => 'rejected'),
      ...Array.from({ length: 20 }, () => 'pending'),
    ])
    expect(figures()).toMatchObject({ waiters: 20, counts: { queueTimeouts: 20 } })
  })

  it('has waited no more once it has its slot, however long its work takes', async () => {
    const { call, clock, begun, figures } = narrow({ timeout: 500 })
    watch(call())
    const waiter = watch(call())
    await clock.advance(40)
    begun[0]!.open('ok')
    await clock.advance(400)
    expect(waiter.state).toBe('pending')
    expect(figures()).toMatchObject({ slots: { busy: 1 }, counts: { queueTimeouts: 0 } })
    begun[1]!.open('long')
    await settle()
    expect(waiter.value).toBe('long')
  })

  it('is left at once by a caller’s abort: the seat is free, the slot goes to the next, and no listener stays', async () => {
    const { call, clock, begun, figures } = narrow()
    watch(call())
    const controller = new AbortController()
    const left = watch(call({ signal: controller.signal }))
    const next = watch(call())
    await settle()
    expect(figures().waiters).toBe(2)
    controller.abort(new Error('gone'))
    expect(figures().waiters).toBe(1)
    await settle()
    expect(left.error).toMatchObject({ message: 'gone' })
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    begun[0]!.open('first')
    await settle()
    begun[1]!.open('next')
    await settle()
    expect([next.value, begun.length]).toEqual(['next', 2])
    expect(figures()).toMatchObject({ slots: { busy: 0 }, waiters: 0, counts: { aborts: 1 } })
    await clock.advance(1_000)
    expect(clock.pending()).toBe(0)
  })

  it('gives the slot back of a caller who leaves in the very turn in which he was granted it', async () => {
    const { call, begun, figures } = narrow()
    watch(call())
    const controller = new AbortController()
    const left = watch(call({ signal: controller.signal }))
    await settle()
    begun[0]!.promise.then(
      () => {
        controller.abort(new Error('gone'))
      },
      () => undefined,
    )
    begun[0]!.open('first')
    await settle()
    expect(left.error).toMatchObject({ message: 'gone' })
    expect([begun.length, figures().slots.busy, figures().waiters]).toEqual([1, 0, 0])
  })

  it('loses no slot when the time to wait is over in the turn of the grant, in either order', async () => {
    for (const endsAt of [49.5, 50]) {
      const { call, clock, begun, figures } = narrow()
      watch(call())
      const waiter = watch(call())
      clock.setTimer(() => begun[0]!.open('first'), endsAt)
      await clock.advance(60)
      if (waiter.state === 'pending') begun[1]!.open('second')
      await settle()
      expect(waiter.state).not.toBe('pending')
      expect(figures()).toMatchObject({ slots: { busy: 0 }, waiters: 0 })
    }
  })

  it('keeps the slot that was granted just before the time to wait was over, in one turn', async () => {
    const clock = new ManualClock()
    const pool = createPool({ name: 'db', slots: 1 })
    const { call, begun, figures } = narrow({ bulkhead: { pool } }, clock)
    watch(call())
    const second = watch(call())
    await settle()
    clock.afterPoll = (fire) => {
      pool.resize(2)
      fire()
    }
    await clock.advance(50)
    expect([begun.length, second.state]).toEqual([2, 'pending'])
    for (const work of begun) work.open('ok')
    await settle()
    expect(second.value).toBe('ok')
    expect(figures()).toMatchObject({ slots: { busy: 0 }, counts: { queueTimeouts: 0 } })
  })

  it('serves those who wait in the order in which they came', async () => {
    const clock = new ManualClock()
    const registry = createRegistry({ clock })
    const feed = registry.dependency('feed', { bulkhead: { slots: 1 } })
    const order: number[] = []
    const gates: Gate<void>[] = []
    const load = feed.wrap((_, n: number) => {
      order.push(n)
      const work = gate()
      gates.push(work)
      return work.promise
    })
    const calls = [0, 1, 2, 3].map((n) => load(n))
    for (let i = 0; i < 4; i++) {
      gates[i]!.open()
      await settle()
    }
    await Promise.all(calls)
    expect(order).toEqual([0, 1, 2, 3])
  })

  it('keeps to the deadline of a caller when that is sooner than maxWait', async () => {
    const { call, clock } = narrow()
    watch(call())
    const total = watch(call({ total: 30 }))
    const deadline = watch(call({ deadline: clock.wall() + 40 }))
    await clock.advance(30)
    expect([total.error, deadline.state]).toEqual([expect.any(DeadlineError), 'pending'])
    await clock.advance(10)
    expect(deadline.error).toBeInstanceOf(DeadlineError)
  })

  it('is no part of the attempt’s timeout, which begins with the operation', async () => {
    const { call, clock, begun } = narrow()
    watch(call())
    const second = watch(call())
    await clock.advance(40)
    begun[0]!.open('first')
    await clock.advance(99)
    expect(second.state).toBe('pending')
    await clock.advance(1)
    expect(second.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT', message: 'feed (load): no answer within 100 ms' })
  })

  it('spares those whose slot has come back while the event loop was blocked', async () => {
    const { call, clock, begun } = narrow()
    watch(call())
    const second = watch(call())
    await settle()
    clock.block(60)
    // What has arrived is read in the poll phase, before what is set for after it.
    const afterPoll = clock.afterPoll.bind(clock)
    clock.afterPoll = (fire) => {
      begun[0]!.open('it was there')
      afterPoll.call(clock, () => void settle().then(fire))
    }
    await clock.advance(0)
    clock.afterPoll = afterPoll
    await settle()
    expect(begun).toHaveLength(2)
    begun[1]!.open('ok')
    await settle()
    expect(second.value).toBe('ok')
  })
})

describe('classes', () => {
  const options: DependencyOptions = {
    circuit: calm,
    bulkhead: {
      slots: 4,
      queue: 1,
      maxWait: 5_000,
      classes: { pages: { guaranteed: 2 }, callbacks: { guaranteed: 1, atMost: 2 } },
    },
  }

  it('keep their guarantees when another fills everything it can get', async () => {
    const { call, begun, dependency } = rig(options)
    for (let i = 0; i < 4; i++) watch(call({ class: 'callbacks' }))
    expect(begun).toHaveLength(2)
    for (let i = 0; i < 4; i++) watch(call({ class: 'pages' }))
    expect(begun).toHaveLength(4)
    expect(dependency.health()).toMatchObject({ slots: { busy: 4, capacity: 4 }, waiters: 2 })
  })

  it('each have a line of their own', async () => {
    const { call, dependency } = rig(options)
    for (let i = 0; i < 3; i++) watch(call({ class: 'callbacks' }))
    await expect(call({ class: 'callbacks' })).rejects.toBeInstanceOf(BulkheadFullError)
    for (let i = 0; i < 3; i++) watch(call({ class: 'pages' }))
    await settle()
    expect(dependency.health().waiters).toBe(2)
  })

  it('leave what isn’t guaranteed to calls of no class, or of one that nobody knows', async () => {
    const { call, begun } = rig(options)
    const calls = [watch(call()), watch(call({ class: 'unknown' })), watch(call())]
    await settle()
    expect(begun).toHaveLength(1)
    expect(calls.map(({ state }) => state)).toEqual(['pending', 'pending', 'rejected'])
  })
})

describe('a dependency that is closed', () => {
  it('sends its waiters away and keeps counting the slots of work that goes on', async () => {
    const { call, begun, dependency, clock, figures } = narrow()
    const [running, waiting] = [watch(call()), watch(call())]
    await settle()
    const closed = watch(dependency.close({ timeout: 50 }))
    await settle()
    expect(waiting.error).toMatchObject({ code: 'ERR_CLOSED' })
    expect([running.state, closed.state, figures().waiters]).toEqual(['pending', 'pending', 0])
    await clock.advance(50)
    expect([running.error, closed.state]).toEqual([expect.objectContaining({ code: 'ERR_CLOSED' }), 'resolved'])
    expect(figures().slots.busy).toBe(1)
    expect(clock.pending({ referenced: true })).toBe(0)
    begun[0]!.open('late')
    await settle()
    expect(figures()).toMatchObject({ slots: { busy: 0 }, inFlight: 0 })
  })
})

describe('bulkhead() for compose', () => {
  it('is one cap for all operations that it is put around', async () => {
    const clock = new ManualClock()
    const shared = bulkhead({ slots: 1, queue: 0 })
    const work = gate<string>()
    const [one, other] = [1, 2].map(() => compose([], [shared, timeout(100)], { clock })(() => work.promise))
    const first = watch(one!())
    await expect(other!()).rejects.toBeInstanceOf(BulkheadFullError)
    work.open('ok')
    await settle()
    expect(first.value).toBe('ok')
    await expect(other!()).resolves.toBe('ok')
  })

  it('gives its slot back after 30 s when the work does not end', async () => {
    const clock = new ManualClock()
    const load = compose([], [bulkhead({ slots: 1, queue: 0 }), timeout(100)], { clock })(() => gate().promise)
    watch(load())
    await clock.advance(100 + 29_999)
    await expect(load()).rejects.toBeInstanceOf(BulkheadFullError)
    await clock.advance(1)
    const next = watch(load())
    await settle()
    expect(next.state).toBe('pending')
  })

  it('refuses options that it doesn’t know', () => {
    expect(() => bulkhead({ slots: 0 })).toThrow(
      new OptionError('bulkhead.slots', 'must be a whole number, 1 or more, got 0'),
    )
    expect(() => bulkhead({ slots: 1, size: 2 } as never)).toThrow(/^bulkhead\.size: unknown option/)
  })
})
