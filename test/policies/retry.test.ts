import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffSettings, grown } from '../../src/core/backoff.js'
import {
  compose,
  createRegistry,
  InvariantError,
  OptionError,
  retry,
  timeout,
  UnavailableError,
  type DependencyOptions,
  type RetryOptions,
} from '../../src/index.js'
import { RetryBudget } from '../../src/policies/retry/budget.js'
import { retryAfterOf } from '../../src/policies/retry/retry-after.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { down, loads, type Loads } from '../support/loads.js'

const generous = { ratio: 1, perSecond: 1_000 }

/** A dependency that retries, not cached, with a back-off of 50 ms before the first one. */
function retrying(options: RetryOptions = {}, of: DependencyOptions = {}, own: object = {}): Loads {
  return loads({ key: () => undefined, ...own }, { retry: { budget: generous, ...options }, ...of })
}

const circuit = { consecutiveFailures: false, minimumCalls: 1_000_000 } as const

describe('a retry', () => {
  it('is not made unless it is asked for', async () => {
    const { failing, runs, clock, dependency } = loads({ key: () => undefined })
    expect(await failing('a')).toBe(down)
    expect([runs.length, clock.pending({ referenced: true })]).toEqual([1, 0])
    expect(dependency.health().counts).toMatchObject({ retries: 0, budgetExhausted: 0 })
  })

  it('is one unless another number is given, after a part of 100 ms, and its answer is live', async () => {
    const { load, last, clock, runs, dependency } = retrying()
    const outcome = watch(load.outcome('a'))
    last().fail(down)
    await clock.advance(49)
    expect(runs).toHaveLength(1)
    await clock.advance(1)
    expect(last().context.attempt).toBe(2)
    last().open('second')
    await settle()
    expect(outcome.value).toEqual({ value: 'second', source: 'live', stale: false, age: 0 })
    expect(dependency.health().counts).toMatchObject({ fires: 2, failures: 1, successes: 1, retries: 1 })
  })

  it('that fails too hands its own error on', async () => {
    const { load, last, clock, runs } = retrying()
    const result = watch(load('a'))
    last().fail(new Error('first'))
    await clock.advance(50)
    last().fail(down)
    await clock.advance(10_000)
    expect(result.error).toBe(down)
    expect(runs).toHaveLength(2)
  })

  it('waits twice as long each time, up to a limit, and by chance a part of it', async () => {
    const waits: number[] = []
    const { load, last, clock, runs } = retrying({ retries: 5, backoff: { base: 100, atMost: 500 } }, { circuit })
    watch(load('a'))
    while (runs.length < 6) {
      const [before, began] = [runs.length, clock.now()]
      last().fail(down)
      while (runs.length === before) await clock.advance(10)
      waits.push(clock.now() - began)
    }
    expect(waits).toEqual([50, 100, 200, 250, 250])
  })

  it('may come at once, when chance will have it so', async () => {
    const clock = new ManualClock({ random: () => 0 })
    const { load, last, runs } = loads({ key: () => undefined }, { retry: {} }, clock)
    watch(load('a'))
    last().fail(down)
    await clock.advance(0)
    expect(runs).toHaveLength(2)
  })

  it('follows a timeout too, while the work that timed out keeps its slot', async () => {
    const { load, last, clock, dependency } = retrying({}, { timeout: 100 })
    const result = watch(load('a'))
    await clock.advance(150)
    expect(dependency.health()).toMatchObject({ slots: { busy: 2 }, inFlight: 2 })
    last().open('second')
    await settle()
    expect(result.value).toBe('second')
  })

  it('follows a value that was judged failed, and a good one takes its place', async () => {
    const isFailure = ({ value }: { value?: unknown }): boolean => value === 'bad'
    const { load, last, clock } = retrying({}, { circuit: { isFailure } }, { key: (id: string) => id, coalesce: true })
    const outcome = watch(load.outcome('a'))
    last().open('bad')
    await clock.advance(50)
    last().open('good')
    await settle()
    expect(outcome.value).toEqual({ value: 'good', source: 'live', stale: false, age: 0 })
  })

  it('that fails leaves a value that was judged failed as the best there is', async () => {
    const isFailure = ({ error, value }: { error?: unknown; value?: unknown }): boolean =>
      value === 'bad' || error !== undefined
    const { load, last, clock } = retrying({}, { circuit: { isFailure } })
    const result = watch(load('a'))
    last().open('bad')
    await clock.advance(50)
    last().fail(down)
    await settle()
    expect(result.value).toBe('bad')
  })

  it('takes a slot anew, and is refused when there is none', async () => {
    const { load, last, clock } = retrying({}, { bulkhead: { slots: 1, queue: 0 } })
    const result = watch(load('a'))
    last().fail(down)
    await settle()
    watch(load('b'))
    await clock.advance(50)
    expect(result.error).toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
  })

  it('comes before what is served instead', async () => {
    const { load, last, clock } = retrying({}, {}, { fallback: { value: 'instead' } })
    const result = watch(load('a'))
    last().fail(down)
    await settle()
    expect(result.state).toBe('pending')
    await clock.advance(50)
    last().fail(down)
    await settle()
    expect(result.value).toBe('instead')
  })
})

describe('no retry is made', () => {
  const once = async ({ load, last, clock, runs }: Loads, error: unknown = down, options = {}): Promise<unknown> => {
    const result = watch(load.with(options)('a'))
    last().fail(error)
    await settle()
    expect(result.state).toBe('rejected')
    await clock.advance(60_000)
    expect([runs.length, clock.pending()]).toEqual([1, 0])
    return result.error
  }

  it('after an error that is no failure', async () => {
    await once(retrying(), Object.assign(new Error('missing'), { status: 404 }))
  })

  it.each<[string, Error]>([
    ['unavailable', new UnavailableError('backup is unavailable')],
    ['an invariant is broken', new InvariantError('withheld')],
  ])('after a refusal from further in: %s', async (_, refusal) => {
    expect(await once(retrying(), refusal)).toBe(refusal)
  })

  it('when `when` says no, or throws, which is reported', async () => {
    const asked: unknown[] = []
    await once(retrying({ when: (error) => asked.push(error) === 0 }))
    expect(asked).toEqual([down])
    const broken = new Error('when')
    const throwing = retrying({
      when: () => {
        throw broken
      },
    })
    await once(throwing)
    expect(throwing.reported).toEqual([broken])
  })

  it('of what must not run twice', async () => {
    await once(retrying({}, {}, { idempotent: false }))
  })

  it('of an operation that wants none', async () => {
    await once(retrying({}, {}, { retry: false }))
    await once(retrying({}, {}, { retry: { retries: 0 } }))
  })

  it('when the back-off is longer than what is left: the error comes at once', async () => {
    expect(await once(retrying(), down, { total: 50 })).toBe(down)
    const { load, last, clock, runs } = retrying()
    watch(load.with({ total: 51 })('a'))
    last().fail(down)
    await clock.advance(50)
    expect(runs).toHaveLength(2)
  })

  it('while it is unavailable: the failure that trips it is the last', async () => {
    const loaded = retrying({}, { circuit: { consecutiveFailures: 1 } })
    expect(await once(loaded)).toBe(down)
  })

  it('of the trial of a half-open circuit', async () => {
    const { failing, load, last, clock, runs, dependency } = retrying({}, { circuit: { consecutiveFailures: 1 } })
    await failing('a')
    await clock.advance(5_000)
    const trial = watch(load('a'))
    last().fail(down)
    await settle()
    expect(trial.error).toBe(down)
    expect([runs.length, dependency.mode]).toEqual([2, 'unavailable'])
  })

  it.each(['full', 'queue', 'limited'] as const)('of what was refused: %s', async (how) => {
    const bulkhead = { slots: 1, queue: how === 'full' ? 0 : 1, maxWait: 20 }
    const rate = { perSecond: 1, burst: 1 }
    const { load, clock, dependency } = retrying({}, how === 'limited' ? { rate } : { bulkhead })
    watch(load('a'))
    const refused = watch(load('b'))
    await clock.advance(20)
    expect(refused.state).toBe('rejected')
    await clock.advance(1_000)
    expect(dependency.health().counts.retries).toBe(0)
  })
})

describe('Retry-After', () => {
  const wall = Date.parse('2026-01-01T00:00:00Z')
  it.each<[string, object, number | undefined]>([
    ['our own, in ms', { retryAfter: 1_500 }, 1_500],
    ['seconds, in a plain object', { headers: { 'Retry-After': '3' } }, 3_000],
    ['seconds, in Headers', { headers: new Headers({ 'retry-after': ' 3 ' }) }, 3_000],
    ['seconds, as a number', { headers: { 'retry-after': 3 } }, 3_000],
    ['several', { headers: { 'retry-after': ['4', '5'] } }, 4_000],
    ['of a response', { response: { headers: { 'retry-after': '3' } } }, 3_000],
    ['a date', { headers: { 'retry-after': 'Thu, 01 Jan 2026 00:00:07 GMT' } }, 7_000],
    ['a date that is past', { headers: { 'retry-after': 'Wed, 31 Dec 2025 23:59:00 GMT' } }, 0],
    ['as a string on the error itself', { retryAfter: '2' }, 2_000],
    ['nonsense', { headers: { 'retry-after': 'soon' } }, undefined],
    ['negative', { retryAfter: -1 }, undefined],
    ['a negative header', { headers: { 'retry-after': '-5' } }, undefined],
    ['nothing', { headers: {}, response: null }, undefined],
    ['NaN', { retryAfter: Number.NaN }, undefined],
  ])('is understood: %s', (_, error, ms) => {
    expect(retryAfterOf(error, wall)).toBe(ms)
  })

  it.each([undefined, null, 'text', 5])('of an error that is %j there is none', (error) => {
    expect(retryAfterOf(error, wall)).toBeUndefined()
  })

  it('is obeyed, with the back-off on top, so that not everybody comes back at once', async () => {
    const { load, last, clock, runs } = retrying()
    watch(load('a'))
    last().fail(Object.assign(new Error('busy'), { headers: { 'retry-after': '3' } }))
    await clock.advance(3_049)
    expect(runs).toHaveLength(1)
    await clock.advance(1)
    expect(runs).toHaveLength(2)
  })

  it('that is longer than any back-off would be is not waited for, nor fallen short of', async () => {
    const { load, last, clock, runs } = retrying({ backoff: { atMost: 2_000 } })
    const result = watch(load('a'))
    last().fail(Object.assign(down, { retryAfter: 2_001 }))
    await settle()
    delete (down as { retryAfter?: number }).retryAfter
    expect(result.error).toBe(down)
    expect([runs.length, clock.pending({ referenced: true })]).toEqual([1, 0])
  })
})

describe('during a back-off', () => {
  const waiting = async (of: DependencyOptions = {}, own: object = {}) => {
    const loaded = retrying({}, of, own)
    const controller = new AbortController()
    const result = watch(loaded.load.with({ signal: controller.signal })('a'))
    loaded.last().fail(down)
    await settle()
    expect([result.state, loaded.clock.pending({ referenced: true })]).toEqual(['pending', 1])
    return { ...loaded, controller, result }
  }

  it('the caller leaves at once: no timer is left, and the operation is not run again', async () => {
    const { clock, controller, result, runs, dependency } = await waiting()
    controller.abort('gone')
    await settle()
    expect(result.error).toBe('gone')
    expect(clock.pending({ referenced: true })).toBe(0)
    await clock.advance(1_000)
    expect([runs.length, dependency.health().counts.retries]).toEqual([1, 0])
  })

  it('it becomes unavailable: what there is instead is served at once, and without it the error', async () => {
    const { registry, result, clock } = await waiting()
    registry.setMode('feed', 'unavailable', { reason: 'test', for: 1 })
    await settle()
    expect([result.error, clock.pending({ referenced: true })]).toEqual([down, 0])
    const other = await waiting({}, { fallback: { value: 'instead' } })
    other.registry.setMode('feed', 'unavailable', { reason: 'test' })
    await settle()
    expect(other.result.value).toBe('instead')
  })

  it('it is closed: the caller is told so, whatever there is instead', async () => {
    const { dependency, result, clock } = await waiting({}, { fallback: { value: 'instead' } })
    await dependency.close()
    expect(result.error).toMatchObject({ code: 'ERR_CLOSED' })
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  it('it is drained: nothing of it begins any more', async () => {
    const { dependency, result, runs } = await waiting()
    await dependency.drain({ reason: 'repair' })
    expect([result.error, runs.length]).toEqual([down, 1])
  })

  it('the time for it passes while our own loop is blocked: the error comes, and nothing is begun', async () => {
    const { load, last, runs, clock, dependency } = retrying()
    const result = watch(load.with({ total: 100 })('a'))
    last().fail(down)
    await settle()
    clock.block(200)
    await clock.advance(1)
    expect([result.error, runs.length, dependency.health().counts.retries]).toEqual([down, 1, 0])
  })

  it('the flip of later on gives nothing back of what was spent before it', async () => {
    const { load, last, runs, clock, registry } = retrying({ budget: { ratio: 0, perSecond: 0.001 } }, { circuit })
    watch(load('a'))
    last().fail(down)
    await clock.advance(50)
    last().fail(down)
    await settle()
    registry.setMode('feed', 'unavailable', { reason: 'test', for: 1_000 })
    registry.setMode('feed', 'available', { reason: 'test', for: 1_000 })
    watch(load('a'))
    last().fail(down)
    await clock.advance(50)
    expect(runs).toHaveLength(3)
  })

  it('it is switched off: the retry goes straight through', async () => {
    const { registry, clock, last, result } = await waiting()
    registry.disable('feed', { for: 1_000 })
    await clock.advance(50)
    last().open('second')
    await settle()
    expect(result.value).toBe('second')
  })
})

describe('callers that share a flight', () => {
  it('are retried for once for all', async () => {
    const { load, last, clock, runs, dependency } = retrying({}, {}, { key: (id: string) => id, coalesce: true })
    const results = Array.from({ length: 5 }, () => watch(load('a')))
    last().fail(down)
    await clock.advance(50)
    last().fail(down)
    await clock.advance(10_000)
    expect(results.map(({ error }) => error)).toEqual(Array(5).fill(down))
    expect([runs.length, dependency.health().counts.retries]).toEqual([2, 1])
  })

  it('have its answer all', async () => {
    const { load, last, clock } = retrying({}, {}, { key: (id: string) => id, coalesce: true })
    const results = [watch(load('a')), watch(load('a'))]
    last().fail(down)
    await clock.advance(50)
    last().open('second')
    await settle()
    expect(results.map(({ value }) => value)).toEqual(['second', 'second'])
  })

  it('end the back-off only when all of them have left', async () => {
    const { load, last, clock, runs } = retrying({}, {}, { key: (id: string) => id, coalesce: true })
    const controllers = [new AbortController(), new AbortController()]
    for (const { signal } of controllers) watch(load.with({ signal })('a'))
    last().fail(down)
    controllers[0]!.abort('gone')
    await settle()
    expect(clock.pending({ referenced: true })).toBe(1)
    controllers[1]!.abort('gone')
    await settle()
    expect(clock.pending({ referenced: true })).toBe(0)
    await clock.advance(100)
    expect(runs).toHaveLength(1)
  })

  it('whose own time was over start nothing', async () => {
    const { load, clock, runs } = retrying({}, { timeout: 500 }, { key: (id: string) => id, coalesce: true })
    const slow = watch(load('a'))
    const result = watch(load.with({ timeout: 100 })('a'))
    await clock.advance(200)
    expect(result.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    expect([slow.state, runs.length]).toEqual(['pending', 1])
  })

  it('of which the retry was refused are not each sent after it', async () => {
    const { load, last, clock, runs } = retrying(
      {},
      { bulkhead: { slots: 1, queue: 0 } },
      { key: (id: string) => (id === 'alone' ? undefined : id), coalesce: true },
    )
    const results = [watch(load('a')), watch(load('a')), watch(load('a'))]
    last().fail(down)
    await settle()
    watch(load('alone'))
    await clock.advance(50)
    expect(results.map(({ error }) => (error as { code: string }).code)).toEqual(Array(3).fill('ERR_BULKHEAD_FULL'))
    expect(runs).toHaveLength(2)
  })
})

describe('the budget', () => {
  it('spends a second of its floor at once; what fails after that fails at once, and is counted', async () => {
    const { load, runs, clock, dependency } = retrying({ budget: { ratio: 0.1, perSecond: 3 } }, { circuit })
    const results = Array.from({ length: 10 }, () => watch(load('a')))
    for (const run of [...runs]) run.fail(down)
    await settle()
    expect(results.filter(({ state }) => state === 'rejected')).toHaveLength(7)
    await clock.advance(50)
    expect(runs).toHaveLength(13)
    expect(dependency.health().counts).toMatchObject({ retries: 3, budgetExhausted: 7 })
  })

  it('never fails a first attempt', async () => {
    const { load, runs, last } = retrying({ budget: { ratio: 0, perSecond: 0.001 } }, { circuit })
    for (let i = 0; i < 5; i++) watch(load('a'))
    for (const run of [...runs]) run.fail(down)
    await settle()
    const result = watch(load('a'))
    last().open('first')
    await settle()
    expect(result.value).toBe('first')
  })

  it('gives back what a caller that left during its back-off had taken', async () => {
    const { load, last, clock, runs } = retrying({ budget: { ratio: 0, perSecond: 0.001 } }, { circuit })
    for (let i = 0; i < 5; i++) {
      const controller = new AbortController()
      watch(load.with({ signal: controller.signal })('a'))
      last().fail(down)
      await settle()
      controller.abort('gone')
    }
    watch(load('a'))
    last().fail(down)
    await clock.advance(50)
    expect(runs).toHaveLength(7)
  })

  it('is the dependency’s: its operations share it', async () => {
    const { dependency, clock } = retrying({ budget: { ratio: 0, perSecond: 1 } }, { circuit })
    const one = dependency.wrap(() => Promise.reject(down), { name: 'one' })
    const other = dependency.wrap(() => Promise.reject(down), { name: 'other', retry: { retries: 3 } })
    watch(one())
    watch(other())
    await clock.advance(100)
    expect(dependency.health().counts).toMatchObject({ fires: 3, retries: 1, budgetExhausted: 1 })
  })

  it('grows with the calls: at 1,000 a second that all fail, a tenth is added, and no more', async () => {
    const { load, runs, clock, dependency } = retrying({ budget: { ratio: 0.1, perSecond: 3 } }, { circuit })
    let seen = 0
    for (let ms = 0; ms < 2_000; ms++) {
      watch(load('a'))
      await clock.advance(1)
      seen += runs.length
      for (const run of runs.splice(0)) run.fail(down)
    }
    expect(seen).toBeGreaterThan(2_190)
    expect(seen).toBeLessThanOrEqual(2_203)
    expect(dependency.health().counts).toMatchObject({ fires: seen, retries: seen - 2_000 })
  })

  it('where a floor a second is more than its share, adds that, and no more', async () => {
    const { load, runs, clock } = retrying({ retries: 3, budget: { ratio: 0.1, perSecond: 10 } }, { circuit })
    let seen = 0
    for (let calls = 0; calls < 100; calls++) {
      watch(load('a'))
      await clock.advance(50)
      seen += runs.length
      for (const run of runs.splice(0)) run.fail(down)
      await clock.advance(50)
    }
    await clock.advance(1_000)
    seen += runs.length
    // 10 s of calls, 10 a second: a tenth of them would be 10.
    expect(seen - 100).toBeGreaterThanOrEqual(95)
    expect(seen - 100).toBeLessThanOrEqual(110)
  })

  it('is spent before the flip of a storm, 1,000 calls a second; after it the dependency sees trials alone', async () => {
    const { load, runs, clock, dependency } = retrying(
      { retries: 3, budget: { ratio: 0.1, perSecond: 3 } },
      { circuit: { consecutiveFailures: false, minimumCalls: 1_000 } },
    )
    let [calls, before] = [0, 0]
    const after: number[] = []
    for (let ms = 0; ms < 12_000; ms++) {
      const open = dependency.mode === 'unavailable'
      if (!open) calls++
      watch(load('a'))
      await clock.advance(1)
      if (open) after.push(...runs.map(() => clock.now()))
      else before += runs.length
      for (const run of runs.splice(0)) run.fail(down)
    }
    expect(before).toBeGreaterThanOrEqual(1_000)
    expect(before).toBeLessThanOrEqual(1.1 * calls + 3)
    // One when the open time ends, 5 s, and the next not before a longer one is over.
    expect(after).toHaveLength(1)
    expect(after[0]).toBeGreaterThan(calls + 4_000)
    expect(dependency.health()).toMatchObject({ mode: 'unavailable', counts: { retries: before - calls } })
  })

  it('takes a retry that was given back for none, and the calls after it for calls', () => {
    const bucket = new RetryBudget({ now: () => 0 } as never, { ratio: 1, perSecond: 2 })
    expect(bucket.take(1)).toBe(true)
    bucket.giveBack()
    expect([bucket.take(1), bucket.take(1), bucket.take(1)]).toEqual([true, true, false])
    // Both are begun, and two more calls: one makes up for what the floor has lent.
    expect([bucket.take(5), bucket.take(6)]).toEqual([true, false])
  })

  it('in any window up to 10 s allows the larger of both, and a second’s floor on top', () => {
    const steps = fc.array(
      fc.record({ wait: fc.constantFrom(0, 1, 7, 90, 400, 2_500), calls: fc.nat(60), asks: fc.nat(12) }),
      { minLength: 5, maxLength: 60, size: 'max' },
    )
    const settings = fc.record({ ratio: fc.constantFrom(0, 0.1, 0.5, 1), perSecond: fc.constantFrom(0, 0.5, 3, 10) })
    fc.assert(
      fc.property(steps, settings, (taken, budget) => {
        let now = 0
        const bucket = new RetryBudget({ now: () => now } as never, budget)
        let begun = 0
        const log: { at: number; calls: number; retries: number }[] = []
        for (const { wait, calls, asks } of taken) {
          now += wait
          begun += calls
          log.push({ at: now, calls, retries: 0 })
          for (let i = 0; i < asks; i++)
            if (bucket.take(begun)) {
              log.at(-1)!.retries++
              begun++
            }
        }
        const { ratio, perSecond } = budget
        for (let from = 0; from < log.length; from++) {
          let [calls, retries] = [0, 0]
          for (let to = from; to < log.length && log[to]!.at - log[from]!.at <= 10_000; to++) {
            calls += log[to]!.calls
            retries += log[to]!.retries
            const floor = (perSecond * (log[to]!.at - log[from]!.at)) / 1_000
            expect(retries).toBeLessThanOrEqual(Math.max(ratio * calls, floor) + Math.max(1, perSecond) + 1e-6)
          }
        }
      }),
    )
  })
})

describe('settings', () => {
  it('change at run time, for operations that are there already', async () => {
    const { registry, failing, load, last, clock, runs } = loads({ key: () => undefined })
    await failing('a')
    registry.configure('feed', { retry: { retries: 2 } })
    registry.configure('feed', { retry: { backoff: { base: 1_000 } } })
    watch(load('a'))
    last().fail(down)
    await clock.advance(499)
    expect(runs).toHaveLength(2)
    await clock.advance(1)
    last().fail(down)
    await clock.advance(1_000)
    expect(runs).toHaveLength(4)
    registry.configure('feed', { retry: false })
    const result = watch(load('a'))
    last().fail(down)
    await settle()
    expect(result.error).toBe(down)
  })

  it('of an operation go before the dependency’s, name by name', async () => {
    const { load, last, clock, runs } = retrying({ retries: 5, backoff: { base: 400 } }, {}, { retry: { retries: 1 } })
    const result = watch(load('a'))
    last().fail(down)
    await clock.advance(200)
    last().fail(down)
    await clock.advance(10_000)
    expect([result.error, runs.length]).toEqual([down, 2])
  })

  it('of an operation are enough', async () => {
    const { load, last, clock, runs } = loads({ key: () => undefined, retry: {} })
    watch(load('a'))
    last().fail(down)
    await clock.advance(50)
    expect(runs).toHaveLength(2)
  })

  it('of the registry give way to a dependency’s own', async () => {
    const clock = new ManualClock()
    const registry = createRegistry({ clock, defaults: { retry: { retries: 2, backoff: { base: 100, atMost: 400 } } } })
    const fires = async (name: string, options: DependencyOptions): Promise<number> => {
      const dependency = registry.dependency(name, { circuit, ...options })
      watch(dependency.run(() => Promise.reject(down)))
      await clock.advance(60_000)
      return dependency.health().counts.fires
    }
    expect(await fires('default', {})).toBe(3)
    expect(await fires('off', { retry: false })).toBe(1)
    expect(await fires('own', { retry: { retries: 1 } })).toBe(2)
    expect(await fires('longer', { retry: { backoff: { base: 5_000 } } })).toBe(3)
  })

  it.each<[unknown, string]>([
    [true, 'retry'],
    [{ retry: 1 }, 'retry.retry'],
    [{ retries: -1 }, 'retry.retries'],
    [{ retries: 1.5 }, 'retry.retries'],
    [{ when: 'always' }, 'retry.when'],
    [{ backoff: 100 }, 'retry.backoff'],
    [{ backoff: { base: 0 } }, 'retry.backoff.base'],
    [{ backoff: { base: 200, atMost: 100 } }, 'retry.backoff.base'],
    [{ budget: { ratio: 2 } }, 'retry.budget.ratio'],
    [{ budget: { perSecond: Infinity } }, 'retry.budget.perSecond'],
    [{ budget: { ratio: 0, perSecond: 0 } }, 'retry.budget'],
  ])('%j is refused, naming %s', (given, path) => {
    const refusal = expect.objectContaining({ code: 'ERR_OPTION', path }) as Error
    expect(() => createRegistry().dependency('feed', { retry: given as RetryOptions })).toThrow(refusal)
    if (given !== true) expect(() => retry(given as RetryOptions)).toThrow(refusal)
  })

  it('of an operation: a budget, and a retry of what must not run twice, are refused', () => {
    const { dependency } = loads()
    const wrap = (options: object) => () => dependency.wrap(() => 1, options)
    expect(wrap({ retry: { budget: {} } })).toThrow(expect.objectContaining({ path: 'retry.budget' }) as Error)
    expect(wrap({ retry: {}, idempotent: false })).toThrow(OptionError)
    expect(wrap({ retry: false, idempotent: false })).not.toThrow()
  })

  it('of a back-off: the default gives way', () => {
    expect(backoffSettings({}, 'b', 10_000)).toEqual({ base: 100, atMost: 10_000 })
    expect(backoffSettings({ atMost: 50 }, 'b', 10_000)).toEqual({ base: 50, atMost: 50 })
    expect(backoffSettings({ base: 20_000 }, 'b', 10_000)).toEqual({ base: 20_000, atMost: 20_000 })
    expect(grown({ base: 100, atMost: 10_000 }, 2_000)).toBe(10_000)
  })
})

describe('composed by hand', () => {
  it('it retries, each operation on a budget of its own', async () => {
    const clock = new ManualClock()
    const policy = retry({ budget: { ratio: 0, perSecond: 1 } })
    const composed = compose([policy], [timeout(100)], { clock })
    let runs = 0
    const operation = (): Promise<never> => {
      runs++
      return Promise.reject(down)
    }
    const [one, other] = [composed(operation), composed(operation)]
    for (const call of [one, one, other, other]) watch(call())
    await clock.advance(60)
    expect(runs).toBe(4 + 2)
  })

  it('it stands further in than what answers instead', () => {
    expect(() =>
      compose([retry(), { role: 'recoverer', kind: 'fallback', make: () => ({ kind: 'fallback' }) }], []),
    ).toThrow(OptionError)
  })
})
