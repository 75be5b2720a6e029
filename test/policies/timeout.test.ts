import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { CallContext, CallOptions, DependencyOptions } from '../../src/index.js'
import {
  CallTimeoutError,
  ClosedError,
  compose,
  createRegistry,
  DeadlineError,
  OptionError,
  timeout,
} from '../../src/index.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate } from '../support/gate.js'
import { rig } from '../support/rig.js'

/** How long a call that hangs is waited for, ms, and what the caller gets. */
async function patience(
  dependency: DependencyOptions,
  options: CallOptions = {},
  operation: { timeout?: number; total?: number } = {},
): Promise<{ after: number; error: unknown }> {
  const clock = new ManualClock()
  const load = createRegistry({ clock })
    .dependency('feed', dependency)
    .wrap(() => gate().promise, { name: 'load', ...operation })
  const call = watch(load.with(options)())
  while (call.state === 'pending') await clock.advance(10)
  return { after: clock.now(), error: call.error }
}

describe('a timeout', () => {
  it('answers the caller in its time, and says how long that was', async () => {
    const { after, error } = await patience({ timeout: 100 })
    expect(after).toBe(100)
    expect(error).toBeInstanceOf(CallTimeoutError)
    expect(error).toMatchObject({
      name: 'TimeoutError',
      code: 'ERR_CALL_TIMEOUT',
      dependency: 'feed',
      message: 'feed (load): no answer within 100 ms',
    })
  })

  it('is 3 s unless another is given', async () => {
    expect((await patience({})).after).toBe(3_000)
  })

  it('is a timeout and a failure in the counts, and one sample in the window', async () => {
    const { clock, call, dependency, begun } = rig({ timeout: 100 })
    watch(call())
    await clock.advance(100)
    expect(dependency.health()).toMatchObject({
      counts: { fires: 1, timeouts: 1, failures: 1, successes: 0, cuts: 0 },
      window: { calls: 1, failures: 1 },
    })
    begun[0]!.open('late')
    await settle()
    expect(dependency.health()).toMatchObject({ counts: { lates: 1, successes: 0 }, window: { calls: 1, failures: 1 } })
  })

  it('does not touch an answer that came in time, and leaves the process free to end', async () => {
    const { clock, call, begun } = rig({ timeout: 100 })
    const answered = watch(call())
    expect(clock.pending({ referenced: true })).toBe(1)
    await clock.advance(99)
    begun[0]!.open('in time')
    await clock.advance(1_000)
    expect(answered.value).toBe('in time')
    expect(clock.pending()).toBe(0)
  })

  it('shares one timer among all calls of a dependency, and expires each in its own time', async () => {
    const { clock, call } = rig({ timeout: 100 })
    const calls = []
    for (let i = 0; i < 5; i++) {
      calls.push(watch(call()))
      await clock.advance(10)
    }
    // The other is the stall watch’s.
    expect([clock.pending({ referenced: true }), clock.pending()]).toEqual([1, 2])
    await clock.advance(50)
    expect(calls.map(({ state }) => state)).toEqual(['rejected', 'pending', 'pending', 'pending', 'pending'])
    await clock.advance(20)
    expect(calls.map(({ state }) => state)).toEqual(['rejected', 'rejected', 'rejected', 'pending', 'pending'])
  })
})

describe('of several timeouts', () => {
  const classes = { feeds: { timeout: 300 }, plain: {} }
  const dependency: DependencyOptions = { timeout: 200, bulkhead: { classes } }

  it.each<[string, CallOptions, { timeout?: number }, number]>([
    ['the dependency’s, when there is no other', {}, {}, 200],
    ['the dependency’s, when the class has none', { class: 'plain' }, {}, 200],
    ['the dependency’s, when nobody knows the class', { class: 'unknown' }, {}, 200],
    ['the class’s, longer than the dependency’s', { class: 'feeds' }, {}, 300],
    ['the operation’s, over the class’s', { class: 'feeds' }, { timeout: 400 }, 400],
    ['the operation’s, shorter than the dependency’s', {}, { timeout: 100 }, 100],
    ['the call’s, longer than all', { class: 'feeds', timeout: 500 }, { timeout: 400 }, 500],
    ['the call’s, shorter than all', { class: 'feeds', timeout: 50 }, { timeout: 400 }, 50],
  ])('it is %s', async (_, options, operation, after) => {
    expect(await patience(dependency, options, operation)).toMatchObject({
      after,
      error: { code: 'ERR_CALL_TIMEOUT', message: `feed (load): no answer within ${after} ms` },
    })
  })
})

describe('a deadline', () => {
  it.each<[string, DependencyOptions, CallOptions, { total?: number }, number]>([
    ['the dependency’s total', { timeout: 100, total: 150 }, { timeout: 500 }, {}, 150],
    ['the operation’s total, over the dependency’s', { timeout: 300, total: 400 }, {}, { total: 60 }, 60],
    ['the call’s total, over the operation’s', { timeout: 300 }, { total: 40 }, { total: 60 }, 40],
    [
      'the sooner of total and instant',
      { timeout: 300 },
      { total: 50, deadline: new Date('2026-01-01T00:00:00.030Z') },
      {},
      30,
    ],
    [
      'the other one when that is sooner',
      { timeout: 300 },
      { total: 50, deadline: new Date('2026-01-01T00:01:00Z') },
      {},
      50,
    ],
  ])('bounds the whole call: %s', async (_, dependency, options, operation, after) => {
    const { after: waited, error } = await patience(dependency, options, operation)
    expect(waited).toBe(after)
    expect(error).toBeInstanceOf(DeadlineError)
    expect(error).toMatchObject({ code: 'ERR_DEADLINE', dependency: 'feed' })
  })

  it('that has passed starts nothing', async () => {
    const { call, clock, begun, dependency } = rig()
    await expect(call({ deadline: clock.wall() })).rejects.toBeInstanceOf(DeadlineError)
    await expect(call({ deadline: clock.wall() - 1_000 })).rejects.toBeInstanceOf(DeadlineError)
    expect(begun).toHaveLength(0)
    expect(dependency.health()).toMatchObject({ slots: { busy: 0 }, counts: { failures: 0, cuts: 0 } })
    expect(clock.pending()).toBe(0)
  })

  it('follows the monotonic clock once the call has begun, whatever wall time does', async () => {
    const { call, clock } = rig({ timeout: 1_000 })
    const waiting = watch(call({ deadline: clock.wall() + 100 }))
    clock.stepWall(3_600_000)
    await clock.advance(99)
    expect(waiting.state).toBe('pending')
    await clock.advance(1)
    expect(waiting.error).toBeInstanceOf(DeadlineError)
  })
})

describe('an attempt that is cut short', () => {
  const options: DependencyOptions = { timeout: 1_000, circuit: { slowCall: 200 } }

  it.each<[string, (clock: ManualClock) => CallOptions]>([
    ['by the call’s own shorter timeout', () => ({ timeout: 100 })],
    ['by the call’s total', () => ({ total: 100 })],
    ['by its caller’s deadline', (clock) => ({ deadline: clock.wall() + 100 })],
  ])('%s is no failure, and no sample', async (_, given) => {
    const { call, clock, dependency } = rig(options)
    watch(call(given(clock)))
    await clock.advance(100)
    expect(dependency.health().counts).toMatchObject({ cuts: 1, failures: 0, timeouts: 0 })
    expect(dependency.health().window).toEqual({ calls: 0, failures: 0, slow: 0 })
  })

  it('is a slow sample when it was past the slow level already', async () => {
    const { call, clock, dependency } = rig(options)
    watch(call({ timeout: 200 }))
    await clock.advance(200)
    expect(dependency.health().window).toMatchObject({ calls: 1, failures: 0, slow: 1 })
  })

  it('can’t trip the circuit by failing, however often', async () => {
    const { call, clock, dependency } = rig(options)
    for (let i = 0; i < 30; i++) watch(call({ timeout: 100 }))
    await clock.advance(100)
    expect(dependency.mode).toBe('available')
  })

  it('is one only by a shorter timeout: a longer one of its own is a failure', async () => {
    const { call, clock, dependency } = rig({ timeout: 100 })
    watch(call({ timeout: 200 }))
    await clock.advance(200)
    expect(dependency.health().counts).toMatchObject({ cuts: 0, failures: 1, timeouts: 1 })
  })

  it('is none by the shorter timeout of an operation or a class', async () => {
    const clock = new ManualClock()
    const feed = createRegistry({ clock }).dependency('feed', {
      timeout: 1_000,
      bulkhead: { classes: { pages: { timeout: 100 } } },
    })
    watch(feed.wrap(() => gate().promise, { timeout: 50 })())
    watch(feed.wrap(() => gate().promise).with({ class: 'pages' })())
    await clock.advance(100)
    expect(feed.health().counts).toMatchObject({ cuts: 0, failures: 2, timeouts: 2 })
  })
})

describe('the signal of an attempt', () => {
  /** Calls an operation that hangs, and hands out what it was given. */
  function hanging(options: CallOptions = {}, dependency: DependencyOptions = { timeout: 100 }) {
    const clock = new ManualClock()
    const registry = createRegistry({ clock })
    const feed = registry.dependency('feed', dependency)
    let context!: CallContext
    const work = gate<string>()
    const load = feed.wrap((given) => {
      context = given
      return work.promise
    })
    const call = watch(load.with(options)())
    return { clock, registry, feed, context, work, call, load }
  }

  it('is made only when the operation reads it, and is one and the same after that', () => {
    const { AbortController: Original } = globalThis
    let made = 0
    globalThis.AbortController = class extends Original {
      constructor() {
        super()
        made++
      }
    }
    try {
      const { context } = hanging()
      expect(made).toBe(0)
      expect(context.signal).toBe(context.signal)
      expect(made).toBe(1)
    } finally {
      globalThis.AbortController = Original
    }
  })

  it('aborts on a timeout with the error that the caller gets', async () => {
    const { clock, context, call } = hanging()
    const { signal } = context
    await clock.advance(99)
    expect(signal.aborted).toBe(false)
    await clock.advance(1)
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toBe(call.error)
    expect(call.error).toBeInstanceOf(CallTimeoutError)
  })

  it('is aborted already when it is first read after the timeout', async () => {
    const { clock, context, call } = hanging()
    await clock.advance(100)
    expect([context.signal.aborted, context.signal.reason]).toEqual([true, call.error])
  })

  it('aborts at the deadline', async () => {
    const { clock, context, call } = hanging({ total: 50 })
    const { signal } = context
    await clock.advance(50)
    expect(signal.reason).toBe(call.error)
    expect(call.error).toBeInstanceOf(DeadlineError)
  })

  it('aborts when the caller leaves, with the caller’s own reason, at once', async () => {
    const controller = new AbortController()
    const { context, call, feed, clock } = hanging({ signal: controller.signal })
    const { signal } = context
    const reason = { why: 'the client has gone' }
    controller.abort(reason)
    expect(signal.reason).toBe(reason)
    await settle()
    expect(call.error).toBe(reason)
    expect(feed.health()).toMatchObject({ counts: { aborts: 1, failures: 0 }, window: { calls: 0 } })
    await clock.advance(1_000)
    expect(feed.health().counts).toMatchObject({ timeouts: 0 })
  })

  it('aborts when the dependency closes and the time for that is over', async () => {
    const { context, call, feed, clock } = hanging({}, { timeout: 5_000 })
    const { signal } = context
    void feed.close({ timeout: 200 })
    await clock.advance(199)
    expect(signal.aborted).toBe(false)
    await clock.advance(1)
    expect(signal.reason).toBeInstanceOf(ClosedError)
    expect(call.error).toBeInstanceOf(ClosedError)
  })

  it('is each call’s own: the timeout of one aborts no other', async () => {
    const clock = new ManualClock()
    const signals: AbortSignal[] = []
    const load = createRegistry({ clock })
      .dependency('feed', { timeout: 100 })
      .wrap(({ signal }) => {
        signals.push(signal)
        return gate().promise
      })
    watch(load())
    await clock.advance(60)
    watch(load())
    await clock.advance(40)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
  })

  it('does not abort after the work has ended, and the caller’s is not listened to any more', async () => {
    const controller = new AbortController()
    const { context, work, call, clock } = hanging({ signal: controller.signal })
    const { signal } = context
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
    work.open('ok')
    await settle()
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    controller.abort()
    await clock.advance(1_000)
    expect([call.value, signal.aborted]).toEqual(['ok', false])
  })

  it('given aborted already starts nothing and leaves no listener', async () => {
    const { call, begun } = rig()
    const reason = new Error('too late')
    const signal = AbortSignal.abort(reason)
    await expect(call({ signal })).rejects.toBe(reason)
    expect(begun).toHaveLength(0)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })
})

describe('what remains', () => {
  /** What an operation that hangs reads at its start, 30 ms later and 150 ms later. */
  async function read(options: CallOptions): Promise<number[]> {
    const clock = new ManualClock()
    let context!: CallContext
    const load = createRegistry({ clock })
      .dependency('feed', { timeout: 100 })
      .wrap((given) => {
        context = given
        return gate().promise
      })
    watch(load.with(options)())
    const seen = [context.remaining]
    for (const ms of [30, 120]) {
      await clock.advance(ms)
      seen.push(context.remaining)
    }
    return seen
  }

  it('is the time of the attempt or of the whole call, whichever is less', async () => {
    expect((await read({})).slice(0, 2)).toEqual([100, 70])
    expect((await read({ total: 80 })).slice(0, 2)).toEqual([80, 50])
    expect(await read({ timeout: 200 })).toEqual([200, 170, 50])
  })

  it('is nothing after the deadline', async () => {
    expect((await read({ total: 80 }))[2]).toBe(0)
  })

  it('is nothing after the timeout', async () => {
    expect((await read({}))[2]).toBe(0)
  })
})

describe('timeout() for compose', () => {
  it('bounds each attempt, and the total the whole call', async () => {
    const clock = new ManualClock()
    const load = compose([], [timeout(100)], { clock, name: 'load', total: 250 })(() => gate().promise)
    const calls = [watch(load()), watch(load.with({ timeout: 400 })())]
    await clock.advance(100)
    expect(calls[0]!.error).toBeInstanceOf(CallTimeoutError)
    await clock.advance(149)
    expect(calls[1]!.state).toBe('pending')
    await clock.advance(1)
    expect(calls[1]!.error).toBeInstanceOf(DeadlineError)
  })

  it.each([0, -1, NaN, Infinity, 2 ** 31, '100', undefined])('refuses %s', (ms) => {
    expect(() => timeout(ms as number)).toThrow(OptionError)
  })
})
