import { describe, expect, expectTypeOf, test } from 'vitest'
import type { CallContext, CallOutcome } from '../../src/core/call.js'
import { compose } from '../../src/core/compose.js'
import { OptionError } from '../../src/core/errors.js'
import type { Caller, Wrapped } from '../../src/core/wrapped.js'
import type { FallbackContext } from '../../src/policies/fallback.js'
import { createRegistry } from '../../src/registry.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate } from '../support/gate.js'
import { down, loads } from '../support/loads.js'

const feed = () => createRegistry({ clock: new ManualClock() }).dependency('feed')

describe('what an operation may return', () => {
  const ways: [string, (value: unknown) => unknown, (error: unknown) => unknown][] = [
    [
      'by itself, or throws',
      (value) => value,
      (error) => {
        throw error
      },
    ],
    ['as a promise', (value) => Promise.resolve(value), (error) => Promise.reject(error)],
    [
      'as a thenable',
      (value) => ({ then: (tell: (value: unknown) => void) => tell(value) }),
      (error) => ({ then: (_: unknown, tell: (error: unknown) => void) => tell(error) }),
    ],
    [
      'as a thenable that is a function',
      (value) => Object.assign(() => undefined, { then: (tell: (value: unknown) => void) => tell(value) }),
      (error) =>
        Object.assign(() => undefined, {
          then: () => {
            throw error
          },
        }),
    ],
  ]

  test.each(ways)(
    'a value %s: the caller gets it, one success is counted, and nothing is left in flight',
    async (_, give) => {
      const dependency = feed()
      for (const value of ['value', undefined, null, 0]) {
        const result = dependency.wrap(() => give(value))()
        expect(result).toBeInstanceOf(Promise)
        expect(await result).toBe(value)
      }
      expect(dependency.health().counts).toMatchObject({ fires: 4, successes: 4, failures: 0 })
      expect(dependency.inFlight()).toEqual([])
      expect(dependency.health().slots.busy).toBe(0)
    },
  )

  test.each(ways)('an error %s: the caller gets it by rejection, and one failure is counted', async (_, __, fail) => {
    const dependency = feed()
    for (const error of [down, 'a string', undefined]) {
      const result = dependency.wrap(() => fail(error))()
      expect(result).toBeInstanceOf(Promise)
      await expect(result).rejects.toBe(error)
    }
    expect(dependency.health().counts).toMatchObject({ fires: 3, successes: 0, failures: 3 })
    expect(dependency.health().slots.busy).toBe(0)
  })

  test('an object whose then throws when it is read is an error', async () => {
    const trap = Object.defineProperty({}, 'then', {
      get: () => {
        throw down
      },
    })
    await expect(feed().wrap(() => trap)()).rejects.toBe(down)
  })

  test('a thenable that answers twice, and then fails, counts once', async () => {
    const dependency = feed()
    const restless = {
      then: (tell: (value: string) => void, fail: (error: unknown) => void) => {
        tell('first')
        tell('second')
        fail(down)
      },
    } as PromiseLike<string>
    expect(await dependency.wrap(() => restless)()).toBe('first')
    expect(dependency.health().counts).toMatchObject({ successes: 1, failures: 0 })
  })
})

describe('what an operation is given', () => {
  test('the context first, then the arguments of the caller, whatever their number', async () => {
    const given: unknown[] = []
    const load = feed().wrap((context: CallContext, ...args: unknown[]) => {
      given.push([context.dependency, context.attempt, context.remaining, args])
    })
    await load()
    await load('a', undefined, { b: 1 })
    expect(given).toEqual([
      ['feed', 1, 3_000, []],
      ['feed', 1, 3_000, ['a', undefined, { b: 1 }]],
    ])
  })

  test('a signal of its own, the same at every reading', async () => {
    const { load, runs } = loads()
    const controller = new AbortController()
    void watch(load.with({ signal: controller.signal })('a'))
    void watch(load('b'))
    const { signal } = runs[0]!.context
    expect(runs[0]!.context.signal).toBe(signal)
    expect(signal).not.toBe(controller.signal)
    controller.abort('gone')
    await settle()
    expect([signal.reason, runs[1]!.context.signal.aborted]).toEqual(['gone', false])
  })
})

describe('outcome()', () => {
  test('tells the story of the answer, and rejects as the plain call does', async () => {
    const { load, last } = loads({ freshFor: 100 })
    const outcome = load.outcome('a')
    last().open('value')
    expect(await outcome).toEqual({ value: 'value', source: 'live', stale: false, age: 0 })
    expect(await load.outcome('a')).toEqual({ value: 'value', source: 'fresh', stale: false, age: 0 })
    const failing = load.outcome('b')
    last().fail(down)
    await expect(failing).rejects.toBe(down)
  })
})

describe('with()', () => {
  test('leaves the operation as it is, and can be called again and again', async () => {
    const { clock, load, runs } = loads()
    const hasty = load.with({ timeout: 50 })
    const results = [watch(hasty('a')), watch(hasty('a')), watch(load('a'))]
    await clock.advance(50)
    expect(results.map(({ state }) => state)).toEqual(['rejected', 'rejected', 'pending'])
    runs[2]!.open(1)
    await settle()
    expect(results[2]!.value).toBe(1)
  })

  test('has an outcome of its own', async () => {
    const { clock, load } = loads({ fallback: { value: 'instead' } })
    const outcome = watch(load.with({ timeout: 50 }).outcome('a'))
    await clock.advance(50)
    expect(outcome.value).toMatchObject({ source: 'fallback', error: { code: 'ERR_CALL_TIMEOUT' } })
  })

  test('a deadline may be a Date or milliseconds by the wall clock', async () => {
    const { clock, load } = loads()
    for (const deadline of [clock.wall() + 70, new Date(clock.wall() + 70)]) {
      const result = watch(load.with({ deadline: new Date(Number(deadline) + clock.now()) })('a'))
      const other = watch(load.with({ deadline: Number(deadline) + clock.now() })('b'))
      await clock.advance(69)
      expect([result.state, other.state]).toEqual(['pending', 'pending'])
      await clock.advance(1)
      expect([result.error, other.error]).toMatchObject([{ code: 'ERR_DEADLINE' }, { code: 'ERR_DEADLINE' }])
    }
  })

  test('what is changed afterwards in the options that were given has no effect', async () => {
    const { clock, load } = loads()
    const deadline = new Date(clock.wall() + 100)
    const options = { timeout: 1_000, deadline }
    const caller = load.with(options)
    options.timeout = 1
    deadline.setTime(0)
    const result = watch(caller('a'))
    await clock.advance(99)
    expect(result.state).toBe('pending')
    await clock.advance(1)
    expect(result.error).toMatchObject({ code: 'ERR_DEADLINE' })
    const frozen = Object.freeze({ timeout: 10 })
    expect(() => load.with(frozen)).not.toThrow()
  })

  test.each([
    ['with.timeout', { timeout: 0 }],
    ['with.timeout', { timeout: -1 }],
    ['with.timeout', { timeout: Number.NaN }],
    ['with.timeout', { timeout: Infinity }],
    ['with.timeout', { timeout: '100' }],
    ['with.timeout', { timeout: false }],
    ['with.total', { total: 0 }],
    ['with.deadline', { deadline: Number.NaN }],
    ['with.deadline', { deadline: Infinity }],
    ['with.deadline', { deadline: '2026-01-01' }],
    ['with.deadline', { deadline: new Date('never') }],
    ['with.signal', { signal: {} }],
    ['with.class', { class: '' }],
    ['with.class', { class: 7 }],
    ['with.label', { label: '' }],
    ['with.retries', { retries: 1 }],
    ['with', null],
    ['with', 'fast'],
  ])('throws an OptionError that names %s for %o', (path, options) => {
    const { load } = loads()
    expect(() => load.with(options as never)).toThrow(OptionError)
    expect(() => load.with(options as never)).toThrow(expect.objectContaining({ path }) as Error)
  })
})

describe('types', () => {
  const dependency = feed()
  const load = dependency.wrap(
    async ({ signal }, id: string, page?: number) => {
      await gate().promise
      return { id, page, signal }
    },
    { name: 'typed' },
  )

  test('arguments and result follow the function that is wrapped, less its context', () => {
    type Args = [id: string, page?: number | undefined]
    type Result = { id: string; page: number | undefined; signal: AbortSignal }
    expectTypeOf(load).toEqualTypeOf<Wrapped<Args, Result>>()
    expectTypeOf(load).parameters.toEqualTypeOf<Args>()
    expectTypeOf(load).returns.resolves.toEqualTypeOf<Result>()
    expectTypeOf<ReturnType<typeof load.outcome>>().resolves.toEqualTypeOf<CallOutcome<Result>>()
    expectTypeOf<Parameters<typeof load.outcome>>().toEqualTypeOf<Args>()
    expectTypeOf<Parameters<typeof load.cache.delete>>().toEqualTypeOf<Args>()
    expectTypeOf(load.with({})).toEqualTypeOf<Caller<Args, Result>>()
  })

  test('a value, a promise and a thenable give the same type', () => {
    type Loads = Wrapped<[], number>
    expectTypeOf(dependency.wrap((): number => 1)).toEqualTypeOf<Loads>()
    expectTypeOf(dependency.wrap(() => Promise.resolve(1))).toEqualTypeOf<Loads>()
    expectTypeOf(dependency.wrap((): PromiseLike<number> => Promise.resolve(1))).toEqualTypeOf<Loads>()
    expectTypeOf(compose([], [])(() => Promise.resolve(1))).toEqualTypeOf<Loads>()
    expectTypeOf(dependency.run(() => Promise.resolve(1))).resolves.toEqualTypeOf<number>()
    expectTypeOf(dependency.wrap(() => undefined)).toEqualTypeOf<Wrapped<[], undefined>>()
  })

  test('the context is typed without being told so', () => {
    void dependency.wrap((context, id: string) => {
      expectTypeOf(context).toEqualTypeOf<CallContext>()
      return id
    })
  })

  test('options are checked against the arguments and the result, and never widen them', () => {
    const wrap = (): void => {
      const ok = dependency.wrap((_, id: string, user: string): Promise<string> => Promise.resolve(id + user), {
        key: (id, user) => {
          expectTypeOf([id, user]).toEqualTypeOf<string[]>()
          return id
        },
        scope: (_id, user) => user,
        cacheIf: (value, id) => value !== id,
        version: (value) => value.length,
        fallback: [
          ({ error }, id, user) => {
            expectTypeOf(error).toBeUnknown()
            return id + user
          },
          { value: '' },
        ],
      })
      expectTypeOf(ok).toEqualTypeOf<Wrapped<[id: string, user: string], string>>()
      // @ts-expect-error a number is not the string that the operation gives
      dependency.wrap((_, id: string) => Promise.resolve(id), { fallback: { value: 7 } })
      // @ts-expect-error nor is one among several
      dependency.wrap((_, id: string) => Promise.resolve(id), { fallback: [{ value: '' }, { value: 7 }] })
      // @ts-expect-error nor is what a function gives
      dependency.wrap((_, id: string) => Promise.resolve(id), { fallback: () => 7 })
      // @ts-expect-error the key takes what the operation takes
      dependency.wrap((_, id: string) => id, { key: (id: number) => String(id), scope: 'public' })
      // @ts-expect-error a key is a string
      dependency.wrap((_, id: string) => id, { key: (id) => id.length, scope: 'public' })
      // @ts-expect-error an unknown name
      dependency.wrap((_, id: string) => id, { ttl: 7 })
      // @ts-expect-error the arguments of the operation
      void ok(1, 2)
      // @ts-expect-error all of them
      void ok('a')
      // @ts-expect-error never switched off
      ok.with({ timeout: false })
    }
    expectTypeOf(wrap).toBeFunction()
  })

  test('functions and operations that were declared elsewhere fit, also when they take fewer arguments', () => {
    const wrap = (): void => {
      const byId = (id: string): string => id
      const full = (value: string): boolean => value !== ''
      const instead = ({ remaining }: FallbackContext, id: string): string => id + String(remaining)
      const backup = dependency.wrap((_, id: string) => Promise.resolve(id))
      const numbers = dependency.wrap((_, id: string) => Promise.resolve(id.length))
      const both = dependency.wrap((_, id: string, user: string): Promise<string> => Promise.resolve(id + user), {
        key: byId,
        scope: byId,
        cacheIf: full,
        fallback: [instead, backup, { value: '' }],
      })
      expectTypeOf(both).toEqualTypeOf<Wrapped<[id: string, user: string], string>>()
      // @ts-expect-error it gives numbers
      dependency.wrap((_, id: string) => Promise.resolve(id), { fallback: numbers })
      // @ts-expect-error it takes a string
      dependency.wrap((_, id: number) => Promise.resolve(String(id)), { fallback: backup })
    }
    expectTypeOf(wrap).toBeFunction()
  })
})
