import { describe, expect, it } from 'vitest'
import { UnavailableError } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'
import { rig } from '../support/rig.js'
import { watch } from '../support/calls.js'

/** Time passes at each look, if told to. */
class TickingClock extends ManualClock {
  step = 0
  #looks = 0

  override now(): number {
    return super.now() + (this.#looks += this.step)
  }
}

/** Fails until the circuit is open. */
async function opened(options: Parameters<typeof rig>[0] = {}) {
  const feed = rig({ timeout: 1_000, circuit: { openFor: 5_000, ...options.circuit }, ...options })
  await feed.failing(10)
  expect(feed.dependency.health().circuit).toBe('open')
  return feed
}

describe('tripping', () => {
  it('opens at the tenth failure in a row, and refuses from then on without calling', async () => {
    const feed = rig()
    await feed.failing(9)
    expect(feed.dependency.mode).toBe('available')
    await feed.failing(1)
    expect(feed.dependency.mode).toBe('unavailable')
    const refused = await feed.call().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(UnavailableError)
    expect(refused).toMatchObject({ code: 'ERR_UNAVAILABLE', dependency: 'feed', retryAfter: 5_000 })
    expect(feed.begun).toHaveLength(0)
  })

  it('opens at half of twenty calls, equality included, and tells once, with the cause', async () => {
    const feed = rig()
    const flips: unknown[] = []
    feed.registry.on('flip', (flip) => flips.push(flip))
    await feed.failing(5)
    await feed.succeed(10)
    await feed.failing(4)
    expect(feed.dependency.mode).toBe('available')
    await feed.failing(1)
    expect(feed.dependency.mode).toBe('unavailable')
    expect(flips).toHaveLength(1)
    expect(flips[0]).toMatchObject({
      dependency: 'feed',
      mode: 'unavailable',
      enforced: true,
      cause: { kind: 'traffic', reason: '10 of 20 calls failed (trips at 0.5)' },
    })
    expect(feed.registry.history('feed')).toHaveLength(1)
  })

  it('opens when most calls are slow, although none fails', async () => {
    const feed = rig({ circuit: { slowCall: 100, slowRate: 0.8 }, timeout: 3_000 })
    await feed.succeed(4)
    await feed.succeed(15, 100)
    expect(feed.dependency.mode).toBe('available')
    await feed.succeed(1, 100)
    expect(feed.dependency.health()).toMatchObject({
      mode: 'unavailable',
      reason: '16 of 20 calls were slow (trips at 0.8)',
    })
  })

  it('is not tripped by failures from before an idle hour', async () => {
    const feed = rig()
    await feed.failing(9)
    await feed.clock.advance(3_600_000)
    await feed.failing(9)
    expect(feed.dependency.mode).toBe('available')
    expect(feed.dependency.health().window.calls).toBe(9)
  })

  it('takes a 4xx for proof that the dependency is reachable', async () => {
    const feed = rig()
    for (let i = 0; i < 30; i++) {
      const result = feed.call()
      feed.begun.pop()!.fail(Object.assign(new Error('no such thing'), { status: 404 }))
      await expect(result).rejects.toThrow('no such thing')
    }
    expect(feed.dependency.health()).toMatchObject({
      mode: 'available',
      window: { calls: 30, failures: 0 },
      counts: { ignored: 30, failures: 0 },
    })
  })

  it('judges by isFailure when there is one, and by the default when that throws', async () => {
    const feed = rig({
      circuit: {
        isFailure: ({ error, value }) => {
          if (value === 'odd') throw new Error('broken classifier')
          return value === 'bad' || error instanceof TypeError
        },
      },
    })
    const errors: unknown[] = []
    feed.registry.on('error', (event) => errors.push(event))
    for (const value of ['bad', 'odd', 'good']) {
      const result = feed.call()
      feed.begun.pop()!.open(value)
      expect(await result).toBe(value)
    }
    await feed.failing(1)
    expect(feed.dependency.health().counts).toMatchObject({ successes: 2, failures: 1, ignored: 1 })
    expect(errors).toHaveLength(1)
  })

  it('takes no sample from a short-circuit, a refusal of the bulkhead, or a caller that left', async () => {
    const feed = rig({ bulkhead: { slots: 1, queue: 0 } })
    const leaving = new AbortController()
    const held = watch(feed.call({ signal: leaving.signal }))
    await expect(feed.call()).rejects.toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
    leaving.abort(new Error('gone'))
    await feed.clock.advance(0)
    expect(held.error).toMatchObject({ message: 'gone' })
    feed.begun[0]!.fail(new Error('late'))
    await feed.clock.advance(0)
    expect(feed.dependency.health()).toMatchObject({
      window: { calls: 0 },
      counts: { full: 1, aborts: 1, lates: 1, failures: 0 },
    })
  })
})

describe('opening', () => {
  it('sends those away who wait for a slot, instead of letting them call what is known to be unavailable', async () => {
    const feed = rig({ bulkhead: { slots: 1 }, circuit: { consecutiveFailures: 1 } })
    void feed.call()
    const waiting = watch(feed.call())
    feed.begun[0]!.fail(new Error('down'))
    await feed.clock.advance(0)
    expect(waiting.error).toMatchObject({ code: 'ERR_UNAVAILABLE', retryAfter: 5_000 })
    expect(feed.begun).toHaveLength(1)
  })
})

describe('recovering', () => {
  it('becomes half-open when its time has passed, and closed when the trial passes', async () => {
    const feed = await opened()
    await feed.clock.advance(4_999)
    await expect(feed.call()).rejects.toBeInstanceOf(UnavailableError)
    await feed.clock.advance(1)
    expect(feed.dependency.health()).toMatchObject({ circuit: 'half-open', mode: 'unavailable', available: true })
    await feed.succeed(1)
    expect(feed.dependency.health()).toMatchObject({ circuit: 'closed', mode: 'available', window: { calls: 0 } })
  })

  it('lets one trial through at a time and refuses the others at once', async () => {
    const feed = await opened()
    await feed.clock.advance(5_000)
    const trial = watch(feed.call())
    for (let i = 0; i < 5; i++) await expect(feed.call()).rejects.toBeInstanceOf(UnavailableError)
    expect(feed.begun).toHaveLength(1)
    feed.begun[0]!.open('ok')
    await feed.clock.advance(0)
    expect(trial.state).toBe('resolved')
  })

  it('recovers for code that calls only while the snapshot says available', async () => {
    const feed = await opened()
    const polite = async (): Promise<boolean> => {
      if (!feed.registry.snapshot().feed!.available) return false
      await feed.succeed(1)
      return true
    }
    expect(await polite()).toBe(false)
    await feed.clock.advance(5_000)
    expect(await polite()).toBe(true)
    expect(feed.dependency.mode).toBe('available')
  })

  it('waits longer after each failed trial, with jitter, up to the limit, and starts anew after a ramp that held', async () => {
    const feed = await opened({ circuit: { openFor: 1_000, openForAtMost: 6_000, rampFor: 2_000 } })
    const waits: number[] = []
    for (let i = 0; i < 4; i++) {
      waits.push(feed.dependency.health().retryAfter!)
      await feed.clock.advance(waits[i]!)
      await feed.failing(1)
    }
    // The manual clock's chance is always in the middle.
    expect(waits).toEqual([1_000, 2_000, 4_000, 6_000])
    await feed.clock.advance(6_000)
    await feed.succeed(1)
    await feed.clock.advance(2_100)
    await feed.failing(10)
    expect(feed.dependency.health().retryAfter).toBe(1_000)
  })

  it('counts a ramp that fails as a failed recovery', async () => {
    const feed = await opened({ circuit: { openFor: 1_000, rampFor: 10_000 } })
    await feed.clock.advance(1_000)
    await feed.succeed(1)
    await feed.failing(10)
    expect(feed.dependency.health()).toMatchObject({ circuit: 'open', retryAfter: 2_000 })
  })

  it('is not wedged by a trial that hangs: its lease ends with its timeout, and the next one may run', async () => {
    const feed = await opened({ circuit: { openFor: 1_000 }, timeout: 500 })
    await feed.clock.advance(1_000)
    const hung = watch(feed.call())
    await feed.clock.advance(500)
    expect(hung.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    expect(feed.dependency.health()).toMatchObject({ circuit: 'open', reason: expect.any(String) as string })
    await feed.clock.advance(2_000)
    const next = feed.call()
    feed.begun[1]!.open('ok')
    await next
    expect(feed.dependency.mode).toBe('available')
    feed.begun[0]!.fail(new Error('far too late'))
    await feed.clock.advance(0)
    expect(feed.dependency.mode).toBe('available')
  })

  it.each([1, 2, 3, 4, 5, 6])(
    'is not wedged by a trial that comes due while it is let in, between look %i at the clock and the next',
    async (looks) => {
      const clock = new TickingClock()
      const feed = rig({ timeout: 1_000, circuit: { openFor: 5_000, openForAtMost: 5_000 } }, clock)
      await feed.failing(10)
      await clock.advance(5_000 - looks)
      clock.step = 1
      void feed.call()
      clock.step = 0
      await clock.advance(1_000)
      feed.begun.pop()
      await clock.advance(6_000)
      await feed.succeed()
      expect(feed.dependency.mode).toBe('available')
    },
  )

  it('runs the trial although hung work holds every slot, in the permit kept for it', async () => {
    const feed = rig({
      bulkhead: { slots: 2, reclaimAfter: 60_000 },
      circuit: { openFor: 1_000, consecutiveFailures: 2 },
      timeout: 100,
    })
    void feed.call()
    void feed.call()
    await feed.clock.advance(100)
    expect(feed.dependency.health()).toMatchObject({ circuit: 'open', slots: { busy: 2 } })
    await feed.clock.advance(1_000)
    const trial = watch(feed.call())
    expect(feed.dependency.health()).toMatchObject({ slots: { busy: 2 }, inFlight: 3, waiters: 0 })
    feed.begun[2]!.open('ok')
    await feed.clock.advance(0)
    expect(trial.state).toBe('resolved')
    expect(feed.dependency.health()).toMatchObject({ mode: 'available', slots: { busy: 2 } })
  })

  it('does not close for a slow trial', async () => {
    const feed = await opened({ circuit: { openFor: 1_000, slowCall: 200 } })
    await feed.clock.advance(1_000)
    await feed.succeed(1, 200)
    expect(feed.dependency.health()).toMatchObject({ circuit: 'open', retryAfter: 2_000 })
  })

  it('closes for a trial that ends with a 404: the dependency is reachable', async () => {
    const feed = await opened()
    await feed.clock.advance(5_000)
    const trial = feed.call()
    feed.begun[0]!.fail(Object.assign(new Error('no such thing'), { statusCode: 404 }))
    await expect(trial).rejects.toThrow('no such thing')
    expect(feed.dependency.mode).toBe('available')
  })

  it('gets its turn back from a trial that its caller gave up, which decides nothing', async () => {
    const feed = await opened()
    await feed.clock.advance(5_000)
    const leaving = new AbortController()
    void feed.call({ signal: leaving.signal })
    leaving.abort()
    expect(feed.dependency.health().circuit).toBe('half-open')
    const next = feed.call()
    feed.begun[0]!.fail(new Error('late'))
    await feed.clock.advance(0)
    expect(feed.dependency.health().circuit).toBe('half-open')
    feed.begun[1]!.open('ok')
    await next
    expect(feed.dependency.mode).toBe('available')
  })

  it('gets its turn back from a trial cut short by its caller, unless that was slow already', async () => {
    const feed = await opened({ circuit: { slowCall: 300, openFor: 1_000 }, timeout: 1_000 })
    await feed.clock.advance(1_000)
    void feed.call({ timeout: 100 })
    await feed.clock.advance(100)
    expect(feed.dependency.health().circuit).toBe('half-open')
    void feed.call({ timeout: 400 })
    await feed.clock.advance(400)
    expect(feed.dependency.health().circuit).toBe('open')
  })
})

describe('results from before', () => {
  it('decide nothing after the opening, but their callers get them', async () => {
    const feed = rig({ timeout: 60_000, circuit: { openFor: 1_000 } })
    const early = feed.call()
    const work = feed.begun.pop()!
    await feed.failing(10)
    await feed.clock.advance(1_000)
    expect(feed.dependency.health().circuit).toBe('half-open')
    work.open('from long ago')
    expect(await early).toBe('from long ago')
    expect(feed.dependency.health()).toMatchObject({ circuit: 'half-open', counts: { successes: 1 } })
  })

  it('neither extend an open circuit nor count in the window of the next', async () => {
    const feed = rig({ timeout: 60_000, circuit: { openFor: 1_000 } })
    const early = Array.from({ length: 30 }, () => feed.call())
    const works = feed.begun.splice(0)
    await feed.failing(10)
    works[0]!.fail(new Error('late'))
    await feed.clock.advance(1_000)
    await feed.succeed(1)
    for (const work of works.slice(1)) work.fail(new Error('late'))
    await Promise.allSettled(early)
    expect(feed.dependency.health()).toMatchObject({ mode: 'available', window: { calls: 0, failures: 0 } })
  })
})

describe('the ramp', () => {
  it('raises the slots from 1 to their full number, and serves who waits as it rises', async () => {
    const feed = await opened({
      bulkhead: { slots: 11, maxWait: 60_000 },
      circuit: { openFor: 1_000, rampFor: 10_000 },
      timeout: 600_000,
    })
    await feed.clock.advance(1_000)
    await feed.succeed(1)
    for (let i = 0; i < 11; i++) void feed.call()
    await feed.clock.advance(0)
    expect(feed.begun).toHaveLength(1)
    expect(feed.dependency.health()).toMatchObject({ ramp: 0, waiters: 10 })
    await feed.clock.advance(5_000)
    expect(feed.begun).toHaveLength(6)
    await feed.clock.advance(5_000)
    expect(feed.begun).toHaveLength(11)
    expect(feed.dependency.health().ramp).toBeUndefined()
  })

  it('leaves no timer when it is over', async () => {
    const feed = await opened({ circuit: { openFor: 1_000, rampFor: 10_000 } })
    await feed.clock.advance(1_000)
    await feed.succeed(1)
    await feed.clock.advance(20_000)
    expect(feed.clock.pending()).toBe(0)
  })
})

describe('a verdict that is only watched', () => {
  it('is reported and not obeyed', async () => {
    const feed = rig({ enforce: false, circuit: { openFor: 1_000 } })
    const flips: unknown[] = []
    feed.registry.on('flip', ({ mode, enforced }) => flips.push({ mode, enforced }))
    await feed.failing(20)
    expect(feed.dependency.health()).toMatchObject({ mode: 'available', wouldBe: 'unavailable', available: true })
    expect(feed.dependency.health().counts).toMatchObject({ failures: 20, rejects: 0 })
    await feed.clock.advance(1_000)
    await feed.failing(1)
    await feed.clock.advance(2_000)
    await feed.succeed(1)
    expect(feed.dependency.health().wouldBe).toBe('available')
    expect(flips).toEqual([
      { mode: 'unavailable', enforced: false },
      { mode: 'available', enforced: false },
    ])
    expect(feed.registry.history()).toHaveLength(0)
  })
})
