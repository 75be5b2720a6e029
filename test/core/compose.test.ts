import { describe, expect, test } from 'vitest'
import { compose } from '../../src/core/compose.js'
import { OptionError } from '../../src/core/errors.js'
import type { Departure, Outcome } from '../../src/core/guard.js'
import type { GuardPolicy, RecovererPolicy } from '../../src/core/policy.js'
import { bulkhead } from '../../src/policies/bulkhead.js'
import { circuit } from '../../src/policies/circuit.js'
import { fallback } from '../../src/policies/fallback.js'
import { staleCache } from '../../src/policies/stale-cache.js'
import { timeout } from '../../src/policies/timeout.js'
import { createRegistry } from '../../src/registry.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate } from '../support/gate.js'
import { down } from '../support/loads.js'

const never = (): Promise<string> => new Promise(() => undefined)

function tracingGuard(name: string, trace: string[], refusal?: Error): GuardPolicy {
  return {
    role: 'guard',
    kind: name,
    make: () => ({
      kind: name,
      enter: () => {
        trace.push(`${name} enters`)
        return refusal
      },
      settle: (_, outcome: Outcome) => trace.push(`${name} settles: ${outcome}`),
      abandon: (_, why: Departure) => trace.push(`${name} abandons: ${why}`),
    }),
  }
}

function tracingRecoverer(name: string, trace: string[], serves = false): RecovererPolicy {
  return {
    role: 'recoverer',
    kind: name,
    make: () => ({
      kind: name,
      answer: () => {
        trace.push(`${name} is asked first`)
        return undefined
      },
      recover: (call) => {
        trace.push(`${name} recovers`)
        return serves && call.serve(name, { source: 'fallback', stale: false, age: 0 })
      },
      settle: (_, outcome: Outcome) => {
        trace.push(`${name} sees: ${outcome}`)
        return undefined
      },
    }),
  }
}

describe('each policy alone', () => {
  const cached = staleCache({ key: () => 'k', scope: 'public' })

  test('none at all: the operation is called as it is', async () => {
    const load = compose([], [])((_, n: number) => Promise.resolve(n + 1))
    expect(await load(1)).toBe(2)
    const failing = compose([], [])(() => Promise.reject(down))
    await expect(failing()).rejects.toBe(down)
  })

  test('a fallback serves what it has', async () => {
    const load = compose([fallback({ value: 'instead' })], [])((): Promise<string> => Promise.reject(down))
    expect(await load.outcome()).toMatchObject({ value: 'instead', source: 'fallback' })
  })

  test('a stale cache serves the last good answer', async () => {
    let works = true
    const load = compose([cached], [])(() => (works ? Promise.resolve('good') : Promise.reject(down)))
    await load()
    works = false
    expect(await load.outcome()).toMatchObject({ value: 'good', source: 'stale' })
  })

  test('a timeout ends the wait', async () => {
    const clock = new ManualClock()
    const result = watch(compose([], [timeout(100)], { clock })(never)())
    await clock.advance(100)
    expect(result.error).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
  })

  test('a bulkhead refuses what is too much', async () => {
    const load = compose([], [bulkhead({ slots: 1, queue: 0 })], { clock: new ManualClock() })(never)
    void watch(load())
    await expect(load()).rejects.toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
  })

  test('one bulkhead around two operations is one cap for both', async () => {
    const shared = compose([], [bulkhead({ slots: 1, queue: 0 })], { clock: new ManualClock() })
    void watch(shared(never)())
    await expect(shared(never)()).rejects.toMatchObject({ code: 'ERR_BULKHEAD_FULL' })
  })

  test('a circuit refuses while its dependency is unavailable', async () => {
    const registry = createRegistry({ clock: new ManualClock() })
    const load = compose([], [circuit(registry.dependency('feed'))])(() => Promise.resolve(1))
    expect(await load()).toBe(1)
    registry.setMode('feed', 'unavailable', { reason: 'test' })
    await expect(load()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
  })

  test('all together: refused, timed out and failed calls are answered stale, and with nothing stale by the fallback', async () => {
    const clock = new ManualClock()
    const registry = createRegistry({ clock })
    const feed = registry.dependency('feed')
    const works = [gate<string>(), gate<string>()]
    let runs = 0
    const load = compose(
      [fallback({ value: 'instead' }), staleCache({ key: (id: string) => id, scope: 'public' })],
      [circuit(feed), bulkhead({ slots: 1, queue: 0 }), timeout(100)],
      { clock },
    )((_, _id: string) => works[runs++]!.promise)
    const first = load.outcome('a')
    works[0]!.open('good')
    expect(await first).toMatchObject({ value: 'good', source: 'live' })
    const slow = watch(load.outcome('a'))
    expect(await load.outcome('a')).toMatchObject({ source: 'stale', error: { code: 'ERR_BULKHEAD_FULL' } })
    await clock.advance(100)
    expect(slow.value).toMatchObject({ value: 'good', source: 'stale', error: { code: 'ERR_CALL_TIMEOUT' } })
    registry.setMode('feed', 'unavailable', { reason: 'test' })
    expect(await load.outcome('a')).toMatchObject({ source: 'stale', error: { code: 'ERR_UNAVAILABLE' } })
    expect(await load.outcome('b')).toMatchObject({ value: 'instead', source: 'fallback' })
  })
})

describe('a circuit in compose', () => {
  test("feeds that dependency's health, and is tripped by it", async () => {
    const clock = new ManualClock()
    const registry = createRegistry({ clock })
    const feed = registry.dependency('feed', { circuit: { consecutiveFailures: 3 } })
    const load = compose([], [circuit(feed), timeout(100)], { clock })((_, fails: boolean) =>
      fails ? Promise.reject(down) : Promise.resolve(1),
    )
    await load(false)
    await expect(load(true)).rejects.toBe(down)
    const hung = watch(compose([], [circuit(feed), timeout(100)], { clock })(never)())
    await clock.advance(100)
    expect(hung.state).toBe('rejected')
    expect(feed.health().counts).toMatchObject({ fires: 3, successes: 1, failures: 2, timeouts: 1 })
    expect(feed.mode).toBe('available')
    await expect(load(true)).rejects.toBe(down)
    expect(feed.mode).toBe('unavailable')
    await expect(load(false)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', dependency: 'feed' })
  })

  test.each([[undefined], ['feed'], [{}], [() => 1]])(
    'given %o instead of a dependency throws an OptionError',
    (given) => {
      expect(() => circuit(given as never)).toThrow(OptionError)
    },
  )
})

describe('order', () => {
  test('recoverers are asked first and guards entered from the outside, settled and asked to recover from the inside', async () => {
    const trace: string[] = []
    const load = compose(
      [tracingRecoverer('R1', trace), tracingRecoverer('R2', trace)],
      [tracingGuard('G1', trace), tracingGuard('G2', trace)],
    )(() => {
      trace.push('the operation')
      return Promise.reject(down)
    })
    await expect(load()).rejects.toBe(down)
    expect(trace).toEqual([
      'R1 is asked first',
      'R2 is asked first',
      'G1 enters',
      'G2 enters',
      'the operation',
      'G2 settles: failure',
      'G1 settles: failure',
      'R2 sees: failure',
      'R1 sees: failure',
      'R2 recovers',
      'R1 recovers',
    ])
  })

  test('what the inner recoverer serves, the outer is not asked for', async () => {
    const trace: string[] = []
    const load = compose(
      [tracingRecoverer('R1', trace, true), tracingRecoverer('R2', trace, true)],
      [],
    )((): Promise<string> => Promise.reject(down))
    expect(await load()).toBe('R2')
    expect(trace).not.toContain('R1 recovers')
  })

  test('a guard that refuses is not settled, those outside it are, and no work runs', async () => {
    const trace: string[] = []
    const full = new Error('full')
    const load = compose(
      [],
      [tracingGuard('G1', trace), tracingGuard('G2', trace, full), tracingGuard('G3', trace)],
    )(() => {
      trace.push('the operation')
    })
    await expect(load()).rejects.toBe(full)
    expect(trace).toEqual(['G1 enters', 'G2 enters', 'G1 settles: refused'])
  })

  test('at a timeout every guard is told, and settled once the work ends', async () => {
    const trace: string[] = []
    const clock = new ManualClock()
    const work = gate()
    const load = compose([], [tracingGuard('G1', trace), timeout(100)], { clock })(() => work.promise)
    void watch(load())
    await clock.advance(100)
    expect(trace).toEqual(['G1 enters', 'G1 abandons: timeout'])
    work.open()
    await settle()
    expect(trace.slice(2)).toEqual(['G1 settles: success'])
  })

  const made = {
    fallback: fallback({ value: 1 }),
    'stale cache': staleCache({ key: () => 'k', scope: 'public' }),
    circuit: circuit(createRegistry().dependency('x')),
    bulkhead: bulkhead({ slots: 1 }),
    timeout: timeout(100),
  }
  const custom = tracingGuard('custom', [])

  const wrong: [string, unknown, unknown, string, string][] = [
    ['a stale cache outside a fallback', [made['stale cache'], made.fallback], [], 'recoverers', 'too late'],
    ['a bulkhead outside a circuit', [], [made.bulkhead, made.circuit], 'guards', 'too late'],
    ['a timeout outside a bulkhead', [], [made.timeout, made.bulkhead], 'guards', 'too late'],
    [
      'a timeout outside a circuit, with one of one’s own between',
      [],
      [made.timeout, custom, made.circuit],
      'guards',
      'late',
    ],
    ['a timeout given twice', [], [made.timeout, timeout(200)], 'guards', 'twice'],
    ['a fallback given twice', [made.fallback, made.fallback], [], 'recoverers', 'twice'],
    ['a guard among the recoverers', [made.timeout], [], 'recoverers', 'timeout is not a recoverer'],
    ['a recoverer among the guards', [], [made.fallback], 'guards', 'fallback is not a guard'],
    ['policies that are not in an array', made.fallback, [], 'recoverers', 'must be an array'],
    ['guards left out', [made.fallback], undefined, 'guards', 'must be an array'],
    ['something that is no policy', [], [null], 'guards', 'something else is not a guard'],
    ['a function', [], [() => 1], 'guards', 'is not a guard'],
  ]
  test.each(wrong)('%s throws an OptionError', (_, recoverers, guards, path, says) => {
    const composing = (): unknown => compose(recoverers as never, guards as never)
    expect(composing).toThrow(OptionError)
    expect(composing).toThrow(says)
    expect(composing).toThrow(expect.objectContaining({ path }) as Error)
  })

  test('policies of one’s own may stand anywhere among their role, and more than once', async () => {
    const own = tracingRecoverer('own', [])
    const load = compose([own, made.fallback, own], [custom, made.bulkhead, custom, made.timeout, custom])(() => 1)
    expect(await load()).toBe(1)
  })
})

describe('time', () => {
  test.each([
    ['with a timeout', [timeout(1_000)]],
    ['without any guard', []],
  ])('%s total ends the wait for an operation that hangs, and aborts it', async (_, guards) => {
    const clock = new ManualClock()
    let signal: AbortSignal | undefined
    const load = compose([], guards, { clock, total: 200 })((context) => {
      signal = context.signal
      return never()
    })
    const result = watch(load())
    await clock.advance(199)
    expect(result.state).toBe('pending')
    await clock.advance(1)
    expect(result.error).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(signal?.reason).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  test.each([
    ['timeout', { timeout: 50 }, 'ERR_CALL_TIMEOUT'],
    ['deadline', { deadline: new ManualClock().wall() + 50 }, 'ERR_DEADLINE'],
    ['total, the sooner one', { timeout: 80, total: 50 }, 'ERR_DEADLINE'],
  ])('without a timeout among the guards a %s that the call asks for still holds', async (_, options, code) => {
    const clock = new ManualClock()
    const result = watch(compose([], [], { clock })(never).with(options)())
    await clock.advance(49)
    expect(result.state).toBe('pending')
    await clock.advance(1)
    expect(result.error).toMatchObject({ code })
  })

  test('without a timeout a call that asks for none has no timer to keep the process alive', () => {
    const clock = new ManualClock()
    void watch(compose([], [], { clock })(never)())
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  test('without a timeout work that ends in time leaves no timer behind', async () => {
    const clock = new ManualClock()
    await compose([], [], { clock, total: 200 })(() => Promise.resolve(1))()
    expect(clock.pending({ referenced: true })).toBe(0)
  })
})

describe('options', () => {
  test.each([
    ['compose.name', { name: '' }],
    ['compose.total', { total: 0 }],
    ['compose.total', { total: Number.NaN }],
    ['compose.total', { total: Infinity }],
    ['compose.isFailure', { isFailure: true }],
    ['compose.clock', { clock: 'system' }],
    ['compose.onError', { onError: 'log' }],
    ['compose.timeout', { timeout: 100 }],
  ])('a bad one throws an OptionError that names %s', (path, options) => {
    expect(() => compose([], [], options as never)).toThrow(
      expect.objectContaining({ path, code: 'ERR_OPTION' }) as Error,
    )
  })

  test.each([[undefined], [null], ['load'], [{}]])('wrapping %o throws an OptionError', (operation) => {
    expect(() => compose([], [])(operation as never)).toThrow(
      expect.objectContaining({ path: 'operation', code: 'ERR_OPTION' }) as Error,
    )
  })

  test('the operation goes by the name given, else by its function’s', async () => {
    function loadItems(): Promise<never> {
      return Promise.reject(down)
    }
    expect(compose([], [])(loadItems).operation).toBe('loadItems')
    const named = compose([], [bulkhead({ slots: 1, queue: 0 })], { name: 'items' })(never)
    expect(named.operation).toBe('items')
    void watch(named())
    await expect(named()).rejects.toMatchObject({ dependency: 'items' })
  })

  test('isFailure judges errors and values', async () => {
    const isFailure = ({ error, value }: { error?: unknown; value?: unknown }): boolean =>
      error instanceof RangeError || value === 'bad'
    const load = compose([fallback({ value: 'instead' })], [], { isFailure })((_, give: () => string) => give())
    expect(await load(() => 'bad')).toBe('instead')
    expect(await load(() => 'good')).toBe('good')
    await expect(
      load(() => {
        throw down
      }),
    ).rejects.toBe(down)
  })

  test('what a policy throws where nobody could be told goes to onError, and an onError that throws hurts no call', async () => {
    const told: unknown[] = []
    const isFailure = (): never => {
      throw down
    }
    const load = compose([], [], { isFailure, onError: (error) => told.push(error) })(() => Promise.resolve(1))
    expect(await load()).toBe(1)
    expect(told).toEqual([down])
    const worse = compose([], [], {
      isFailure,
      onError: () => {
        throw new Error('log')
      },
    })(() => Promise.resolve(1))
    expect(await worse()).toBe(1)
  })
})
