import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  compose,
  createRegistry,
  fallback,
  RateLimitError,
  rate,
  timeout,
  type DependencyOptions,
  type RateOptions,
} from '../../src/index.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch, type Watched } from '../support/calls.js'
import { gate, type Gate } from '../support/gate.js'
import { rig, type Rig } from '../support/rig.js'

const limited = (options: RateOptions, of: DependencyOptions = {}): Rig => rig({ rate: options, ...of })

const states = (calls: Watched<unknown>[]): string[] => calls.map(({ state }) => state)

describe('a rate', () => {
  it('lets a burst through, then so many a second', async () => {
    const { clock, call, begun } = limited({ perSecond: 10, burst: 3 })
    const calls = Array.from({ length: 5 }, () => watch(call()))
    await settle()
    expect([begun.length, states(calls)]).toEqual([3, ['pending', 'pending', 'pending', 'rejected', 'rejected']])
    for (let i = 0; i < 10; i++) {
      await clock.advance(100)
      watch(call())
      watch(call())
    }
    expect(begun).toHaveLength(13)
  })

  it('refuses with the time until the next token, which is true', async () => {
    const { clock, call, begun } = limited({ perSecond: 3, burst: 1 })
    watch(call())
    await clock.advance(100)
    const refused = watch(call())
    await settle()
    expect(refused.error).toBeInstanceOf(RateLimitError)
    expect(refused.error).toMatchObject({
      name: 'RateLimitError',
      code: 'ERR_RATE_LIMIT',
      dependency: 'feed',
      retryAfter: 234,
      message: 'feed: no more calls a second are allowed',
    })
    await clock.advance(233)
    watch(call())
    expect(begun).toHaveLength(1)
    await clock.advance(1)
    watch(call())
    expect(begun).toHaveLength(2)
  })

  it('saves up no more than a burst', async () => {
    const { clock, call, begun } = limited({ perSecond: 10, burst: 2 })
    await clock.advance(3_600_000)
    for (let i = 0; i < 10; i++) watch(call())
    expect(begun).toHaveLength(2)
  })

  it.each([
    [0.1, 1],
    [1, 1],
    [5, 1],
    [6, 2],
    [100, 20],
  ])('of %d a second has a burst of %d unless another is given', (perSecond, burst) => {
    const { call, begun } = limited({ perSecond })
    for (let i = 0; i < 50; i++) watch(call())
    expect(begun).toHaveLength(burst)
  })

  it('costs the dependency nothing when it refuses: no sample, no slot, and it is counted', async () => {
    const { call, dependency, clock } = limited({ perSecond: 1, burst: 1 }, { circuit: { consecutiveFailures: 1 } })
    watch(call())
    for (let i = 0; i < 50; i++) watch(call())
    await settle()
    expect(dependency.health()).toMatchObject({
      mode: 'available',
      window: { calls: 0 },
      slots: { busy: 1 },
      counts: { limited: 50, failures: 0, rejects: 0 },
    })
    expect(clock.pending({ referenced: true })).toBe(1)
  })

  it('stands behind the circuit: what is unavailable spends no token', async () => {
    const { call, registry, begun } = limited({ perSecond: 0.001, burst: 1 })
    registry.setMode('feed', 'unavailable', { reason: 'test' })
    watch(call())
    const refused = watch(call())
    await settle()
    expect(refused.error).toMatchObject({ code: 'ERR_UNAVAILABLE' })
    registry.setMode('feed', 'available', { reason: 'test' })
    watch(call())
    expect(begun).toHaveLength(1)
  })

  it('gives a token back that the bulkhead refuses in the same moment', async () => {
    const { call, begun } = limited({ perSecond: 0.001, burst: 2 }, { bulkhead: { slots: 1, queue: 0 } })
    watch(call())
    for (let i = 0; i < 5; i++) watch(call())
    begun[0]!.open('ok')
    await settle()
    watch(call())
    expect(begun).toHaveLength(2)
  })

  it('does not give it back later, on top of what was filled in meanwhile', async () => {
    const { call, clock } = limited(
      { perSecond: 10, burst: 1 },
      { bulkhead: { slots: 1, queue: 5, maxWait: 300 }, timeout: 60_000 },
    )
    watch(call())
    await clock.advance(100)
    const controller = new AbortController()
    watch(call({ signal: controller.signal }))
    await clock.advance(200)
    watch(call())
    controller.abort('gone')
    const refused = watch(call())
    await settle()
    expect(refused.error).toMatchObject({ code: 'ERR_RATE_LIMIT', retryAfter: 100 })
  })

  it('lets a trial pass without a token', async () => {
    const { clock, call, begun, dependency } = limited(
      { perSecond: 0.001, burst: 1 },
      { circuit: { consecutiveFailures: 1 } },
    )
    watch(call())
    begun[0]!.fail(new Error('down'))
    await clock.advance(5_000)
    watch(call())
    expect(begun).toHaveLength(2)
    begun[1]!.open('ok')
    await settle()
    expect(dependency.mode).toBe('available')
  })

  it('lets something be served instead', async () => {
    const registry = createRegistry({ clock: new ManualClock() })
    const load = registry
      .dependency('feed', { rate: { perSecond: 1, burst: 1 } })
      .wrap(() => 'live', { fallback: ({ error }) => (error as { code: string }).code })
    expect([await load(), await load()]).toEqual(['live', 'ERR_RATE_LIMIT'])
  })
})

describe('waiting', () => {
  it('goes in turn, first come, first served, and leaves no timer', async () => {
    const { clock, call, begun, dependency } = limited({ perSecond: 10, burst: 1, maxWait: 300 })
    const calls = Array.from({ length: 6 }, () => watch(call()))
    await settle()
    // Three come in time; for the others there is no turn, and they know at once.
    expect(states(calls).filter((state) => state === 'rejected')).toHaveLength(2)
    expect(calls[4]!.error).toMatchObject({ code: 'ERR_RATE_LIMIT', retryAfter: 400 })
    for (const expected of [2, 3, 4]) {
      await clock.advance(99)
      expect(begun).toHaveLength(expected - 1)
      await clock.advance(1)
      expect(begun).toHaveLength(expected)
    }
    for (const work of begun) work.open('ok')
    await clock.advance(10_000)
    expect(states(calls.slice(0, 4))).toEqual(Array(4).fill('resolved'))
    expect(clock.pending()).toBe(0)
    expect(dependency.health().counts).toMatchObject({ limited: 2, successes: 4 })
  })

  it('is not for a newcomer to overtake', async () => {
    const { clock, call, begun } = limited({ perSecond: 10, burst: 1, maxWait: 1_000 })
    watch(call())
    const second = watch(call())
    await clock.advance(99)
    clock.block(1)
    const third = watch(call())
    await clock.advance(0)
    expect(begun).toHaveLength(2)
    begun[1]!.open('second')
    await settle()
    expect([second.value, third.state]).toEqual(['second', 'pending'])
  })

  it('only begins when the deadline leaves room', async () => {
    const { call, begun, clock } = limited({ perSecond: 10, burst: 1, maxWait: 1_000 })
    watch(call())
    const late = watch(call({ total: 100 }))
    await settle()
    expect(late.error).toMatchObject({ code: 'ERR_RATE_LIMIT', retryAfter: 100 })
    watch(call({ total: 101 }))
    await clock.advance(100)
    expect(begun).toHaveLength(2)
  })

  it('ends with its caller, whose turn goes to the next', async () => {
    const { clock, call, begun, dependency } = limited({ perSecond: 10, burst: 1, maxWait: 1_000 })
    watch(call())
    const controllers = [new AbortController(), new AbortController()]
    const left = controllers.map(({ signal }) => watch(call({ signal })))
    const third = watch(call())
    for (const controller of controllers) controller.abort('gone')
    await settle()
    expect(left.map(({ error }) => error)).toEqual(['gone', 'gone'])
    await clock.advance(100)
    expect(begun).toHaveLength(2)
    begun[1]!.open('third')
    await settle()
    expect(third.value).toBe('third')
    begun[0]!.open('ok')
    await settle()
    expect(dependency.health()).toMatchObject({ slots: { busy: 0 }, inFlight: 0, counts: { aborts: 2 } })
  })

  it('that is over for everybody leaves no timer', async () => {
    const { clock, call, begun } = limited({ perSecond: 10, burst: 1, maxWait: 1_000 })
    watch(call())
    begun[0]!.open('ok')
    const controller = new AbortController()
    watch(call({ signal: controller.signal }))
    await settle()
    expect(clock.pending({ referenced: true })).toBe(1)
    controller.abort('gone')
    await settle()
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  it('whose turn and whose abort come together keeps no token', async () => {
    const { clock, call, begun, registry } = limited({ perSecond: 10, burst: 1, maxWait: 1_000 })
    watch(call())
    const controller = new AbortController()
    watch(call({ signal: controller.signal }))
    const third = watch(call())
    clock.block(100)
    registry.configure('feed', { rate: { maxWait: 900 } })
    controller.abort('gone')
    await settle()
    expect(begun).toHaveLength(2)
    begun[1]!.open('third')
    await settle()
    expect(third.value).toBe('third')
  })

  it('is over when it becomes unavailable, and when it is closed', async () => {
    const { call, registry, dependency, clock } = limited({ perSecond: 1, burst: 1, maxWait: 5_000 })
    watch(call())
    const first = watch(call())
    registry.setMode('feed', 'unavailable', { reason: 'test', for: 1_000 })
    await settle()
    expect(first.error).toMatchObject({ code: 'ERR_UNAVAILABLE' })
    registry.clearMode('feed')
    const second = watch(call())
    const closing = dependency.close({ timeout: 1 })
    await clock.advance(1)
    await closing
    expect(second.error).toMatchObject({ code: 'ERR_CLOSED' })
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  it('then finds the circuit open, if it has opened meanwhile', async () => {
    const { clock, call, begun } = limited(
      { perSecond: 10, burst: 2, maxWait: 1_000 },
      { circuit: { consecutiveFailures: 1 } },
    )
    watch(call())
    watch(call())
    const third = watch(call())
    begun[0]!.fail(new Error('down'))
    await clock.advance(100)
    expect(third.error).toMatchObject({ code: 'ERR_UNAVAILABLE' })
    expect(begun).toHaveLength(2)
  })
})

describe('at run time', () => {
  it('a rate comes, changes and goes, for operations that are there already', async () => {
    const { clock, call, begun, registry } = rig()
    for (let i = 0; i < 10; i++) watch(call())
    expect(begun).toHaveLength(10)
    registry.configure('feed', { rate: { perSecond: 10, burst: 1 } })
    for (let i = 0; i < 10; i++) watch(call())
    expect(begun).toHaveLength(11)
    registry.configure('feed', { rate: { burst: 5 } })
    await clock.advance(1_000)
    for (let i = 0; i < 10; i++) watch(call())
    expect(begun).toHaveLength(16)
    registry.configure('feed', { rate: false })
    for (let i = 0; i < 10; i++) watch(call())
    expect(begun).toHaveLength(26)
  })

  it('whoever waits goes on sooner, or is told that its turn won’t come in time', async () => {
    const { clock, call, begun, registry, dependency } = limited({ perSecond: 10, burst: 1, maxWait: 500 })
    const calls = Array.from({ length: 5 }, () => watch(call()))
    registry.configure('feed', { rate: { perSecond: 4 } })
    await settle()
    expect(states(calls)).toEqual(['pending', 'pending', 'pending', 'rejected', 'rejected'])
    expect(dependency.health().counts.limited).toBe(2)
    await clock.advance(250)
    expect(begun).toHaveLength(2)
    registry.configure('feed', { rate: { perSecond: 1_000 } })
    await clock.advance(1)
    expect(begun).toHaveLength(3)
  })

  it('whoever waits passes when the rate goes', async () => {
    const { clock, call, begun, registry } = limited({ perSecond: 10, burst: 1, maxWait: 500 })
    for (let i = 0; i < 4; i++) watch(call())
    registry.configure('feed', { rate: false })
    await settle()
    expect(begun).toHaveLength(4)
    for (const work of begun) work.open('ok')
    await clock.advance(10_000)
    expect(clock.pending()).toBe(0)
  })
})

describe('in any window', () => {
  it('no more than burst + perSecond × seconds pass, whoever waits, leaves or is refused, and nothing is left', async () => {
    const step = fc.oneof(
      fc.record({ calls: fc.integer({ min: 1, max: 9 }) }),
      fc.record({ wait: fc.constantFrom(1, 10, 33, 100, 450, 2_000) }),
      fc.record({ leave: fc.nat(9) }),
      fc.record({ end: fc.nat(9) }),
      fc.record({ block: fc.constantFrom(20, 300) }),
    )
    const options = fc.record({
      perSecond: fc.constantFrom(0.5, 3, 7, 40),
      burst: fc.integer({ min: 1, max: 6 }),
      maxWait: fc.constantFrom(0, 50, 800),
    })
    const schedule = fc.array(step, { minLength: 10, maxLength: 40, size: 'max' })
    await fc.assert(
      fc.asyncProperty(schedule, options, fc.constantFrom(2, 1_000), async (steps, given, slots) => {
        const clock = new ManualClock()
        const dependency = createRegistry({ clock }).dependency('feed', {
          rate: given,
          timeout: 100_000,
          bulkhead: { slots, queue: 3 },
        })
        const passed: number[] = []
        const begun: Gate<string>[] = []
        const load = dependency.wrap(() => {
          passed.push(clock.now())
          const work = gate<string>()
          begun.push(work)
          return work.promise
        })
        const callers: { controller: AbortController; result: Watched<string> }[] = []
        for (const taken of steps) {
          if ('calls' in taken)
            for (let i = 0; i < taken.calls; i++) {
              const controller = new AbortController()
              callers.push({ controller, result: watch(load.with({ signal: controller.signal })()) })
            }
          else if ('wait' in taken) await clock.advance(taken.wait)
          else if ('block' in taken) clock.block(taken.block)
          else if ('end' in taken) begun[taken.end]?.open('ok')
          else callers[taken.leave]?.controller.abort('gone')
          // Whoever was just given the turn takes it before the loop can be blocked.
          await settle()
        }
        // With few slots a token may be taken before, and a slot now.
        if (slots === 1_000)
          for (let from = 0; from < passed.length; from++)
            for (let to = from; to < passed.length; to++) {
              const seconds = (passed[to]! - passed[from]!) / 1_000
              expect(to - from + 1).toBeLessThanOrEqual(given.burst + given.perSecond * seconds + 1e-3)
            }
        for (const { controller } of callers) controller.abort('gone')
        for (const work of begun) work.open('ok')
        await clock.advance(2_000_000)
        expect(callers.filter(({ result }) => result.state === 'pending')).toEqual([])
        for (const { controller } of callers) expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
        expect(dependency.health()).toMatchObject({ slots: { busy: 0 }, waiters: 0, inFlight: 0 })
        expect(clock.pending()).toBe(0)
      }),
    )
  })
})

describe('settings', () => {
  it.each<[unknown, string]>([
    [true, 'rate'],
    [{}, 'rate.perSecond'],
    [{ perSecond: 0 }, 'rate.perSecond'],
    [{ perSecond: Infinity }, 'rate.perSecond'],
    [{ perSecond: 1, burst: 0 }, 'rate.burst'],
    [{ perSecond: 1, burst: 1.5 }, 'rate.burst'],
    [{ perSecond: 1, maxWait: -1 }, 'rate.maxWait'],
    [{ perSecond: 1, perMinute: 2 }, 'rate.perMinute'],
  ])('%j is refused, naming %s', (given, path) => {
    const refusal = expect.objectContaining({ code: 'ERR_OPTION', path }) as Error
    expect(() => createRegistry().dependency('feed', { rate: given as RateOptions })).toThrow(refusal)
    expect(() => rate(given as { perSecond: number })).toThrow(refusal)
  })

  it('of the registry are what a dependency’s own are put before', () => {
    const clock = new ManualClock()
    const registry = createRegistry({ clock, defaults: { rate: { perSecond: 10, burst: 2 } } })
    const burst = (name: string, options: DependencyOptions): number => {
      let runs = 0
      const call = registry.dependency(name, options).wrap(() => ++runs)
      for (let i = 0; i < 20; i++) watch(call())
      return runs
    }
    expect(burst('default', {})).toBe(2)
    expect(burst('own burst', { rate: { burst: 4 } })).toBe(4)
    expect(burst('off', { rate: false })).toBe(20)
  })
})

describe('composed by hand', () => {
  it('the same rate around several operations is one cap for all of them', async () => {
    const clock = new ManualClock()
    const composed = compose([fallback({ value: 'instead' })], [rate({ perSecond: 1, burst: 2 }), timeout(100)], {
      clock,
    })
    const [one, other] = [composed(() => 'one'), composed(() => 'other')]
    expect([await one(), await other(), await one()]).toEqual(['one', 'other', 'instead'])
  })

  it('comes before the bulkhead and the timeout', () => {
    expect(() => compose([], [timeout(100), rate({ perSecond: 1 })])).toThrow(
      'rate comes too late; the order is circuit, rate, bulkhead, timeout, injection',
    )
  })
})
