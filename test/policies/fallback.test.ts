import { describe, expect, test } from 'vitest'
import { compose } from '../../src/core/compose.js'
import { OptionError } from '../../src/core/errors.js'
import { fallback, type FallbackContext } from '../../src/policies/fallback.js'
import { timeout } from '../../src/policies/timeout.js'
import { createRegistry } from '../../src/registry.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate } from '../support/gate.js'
import { down, loads } from '../support/loads.js'

const never = (): Promise<never> => new Promise(() => undefined)

describe('what may be served instead', () => {
  test('a value is served at once when the operation fails', async () => {
    const { load, last } = loads({ fallback: { value: 'instead' } })
    const outcome = load.outcome('a')
    last().fail(down)
    expect(await outcome).toEqual({
      value: 'instead',
      source: 'fallback',
      stale: false,
      age: 0,
      alternative: 0,
      error: down,
    })
  })

  test.each([[undefined], [null], [false]])('%s is a value like any other', async (value) => {
    const { load, last } = loads({ fallback: { value } })
    const outcome = load.outcome('a')
    last().fail(down)
    expect(await outcome).toMatchObject({ value, source: 'fallback' })
  })

  test.each([
    ['a value', () => 'instead'],
    ['a promise', () => Promise.resolve('instead')],
    ['a thenable', () => ({ then: (tell: (value: string) => void) => tell('instead') }) as PromiseLike<string>],
  ])('a function that gives %s is asked, and what it gives is served', async (_, instead) => {
    const { failing } = loads({ fallback: instead })
    expect(await failing('a')).toBe('instead')
  })

  test('a function is given the context, then the arguments of the call', async () => {
    const asked: unknown[] = []
    const { load, last } = loads({
      timeout: 700,
      fallback: ({ error, signal, remaining }, ...args) => {
        asked.push(error, signal.aborted, remaining, args)
        return 'instead'
      },
    })
    const result = load('a', 'anna')
    last().fail(down)
    await result
    expect(asked).toEqual([down, false, 700, ['a', 'anna']])
  })

  test('remaining is what is left of total when that is less', async () => {
    let left = 0
    const { clock, load, last } = loads({
      timeout: 700,
      fallback: ({ remaining }) => {
        left = remaining
        return 'instead'
      },
    })
    const result = load.with({ total: 900 })('a')
    await clock.advance(600)
    last().fail(down)
    await result
    expect(left).toBe(300)
  })

  test('a wrapped operation is called with the original arguments, and under its own guards', async () => {
    const clock = new ManualClock()
    const registry = createRegistry({ clock })
    const backup = registry.dependency('backup')
    const asked: unknown[] = []
    const fromBackup = backup.wrap((context, id: string, user: string) => {
      asked.push([context.dependency, id, user])
      return Promise.resolve('from backup')
    })
    const load = registry
      .dependency('main')
      .wrap((_, _id: string, _user: string): Promise<string> => Promise.reject(down), { fallback: fromBackup })
    expect(await load('a', 'anna')).toBe('from backup')
    expect(asked).toEqual([['backup', 'a', 'anna']])
    expect(backup.health().counts.successes).toBe(1)
    registry.setMode('backup', 'unavailable', { reason: 'test' })
    await expect(load('a', 'anna')).rejects.toBe(down)
  })

  test('a wrapped operation is called in the class of the call', async () => {
    const registry = createRegistry({ clock: new ManualClock() })
    const backup = registry.dependency('backup', { bulkhead: { slots: 5, classes: { callbacks: { atMost: 1 } } } })
    const other = backup.wrap(() => new Promise<string>(() => undefined), { name: 'other' })
    const load = registry.dependency('feed').wrap((): Promise<string> => Promise.reject(down), { fallback: other })
    void watch(load.with({ class: 'callbacks' })())
    await settle()
    expect(backup.inFlight()).toMatchObject([{ operation: 'other', class: 'callbacks' }])
  })

  test('what a wrapped operation serves stale keeps its age', async () => {
    const clock = new ManualClock()
    const registry = createRegistry({ clock })
    let broken = false
    const fromBackup = registry
      .dependency('backup')
      .wrap((_, id: string) => (broken ? Promise.reject(down) : Promise.resolve(id)), {
        name: 'backup',
        key: (id) => id,
        scope: 'public',
      })
    await fromBackup('a')
    broken = true
    await clock.advance(5_000)
    const load = registry.dependency('main').wrap((_, _id: string): Promise<string> => Promise.reject(down), {
      fallback: [() => Promise.reject(down), fromBackup],
    })
    expect(await load.outcome('a')).toEqual({
      value: 'a',
      source: 'fallback',
      stale: true,
      age: 5_000,
      alternative: 1,
      error: down,
    })
  })

  test('a wrapped operation is aborted with its caller', async () => {
    const registry = createRegistry({ clock: new ManualClock() })
    let inner: AbortSignal | undefined
    const fromBackup = registry.dependency('backup').wrap(({ signal }) => {
      inner = signal
      return never()
    })
    const load = registry.dependency('main').wrap((): Promise<string> => Promise.reject(down), { fallback: fromBackup })
    const controller = new AbortController()
    const caller = watch(load.with({ signal: controller.signal })())
    await settle()
    controller.abort('gone')
    await settle()
    expect([caller.error, inner?.reason]).toEqual(['gone', 'gone'])
  })
})

describe('several', () => {
  test('the first that gives something is served, and those after it are not asked', async () => {
    let asked = 0
    const { failing } = loads({ fallback: [() => 'first', () => ++asked, { value: 'last' }] })
    expect(await failing('a')).toBe('first')
    expect(asked).toBe(0)
  })

  test('the outcome says which of them it was', async () => {
    const { load, last } = loads({ fallback: [() => Promise.reject(down), () => 'second', { value: 'last' }] })
    const outcome = load.outcome('a')
    last().fail(down)
    expect(await outcome).toMatchObject({ value: 'second', alternative: 1 })
  })

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('backup is down too')
      },
    ],
    ['rejects', () => Promise.reject(new Error('backup is down too'))],
  ])('one that %s goes to the next, which is told the original error', async (_, broken) => {
    const told: unknown[] = []
    const next = ({ error }: FallbackContext): string => {
      told.push(error)
      return 'next'
    }
    const { failing } = loads({ fallback: [broken, broken, next] })
    expect(await failing('a')).toBe('next')
    expect(told).toEqual([down])
  })

  test('when all fail the original error is thrown', async () => {
    const { failing } = loads({
      fallback: [
        () => {
          throw new Error('one')
        },
        () => Promise.reject(new Error('two')),
      ],
    })
    expect(await failing('a')).toBe(down)
  })

  test('a stale value is preferred to a fallback', async () => {
    const { fill, failing } = loads({ fallback: { value: 'instead' } })
    expect(await failing('a')).toBe('instead')
    await fill('a', 'stale')
    expect(await failing('a')).toBe('stale')
  })

  test('what a fallback gives is not kept', async () => {
    const { load, failing } = loads({ fallback: { value: 'instead' } })
    await failing('a')
    expect(load.cache.delete('a')).toBe(false)
  })
})

describe('bounds', () => {
  test('an asynchronous one that gives nothing within the timeout is aborted, and the next is asked', async () => {
    let inner: AbortSignal | undefined
    const { clock, load, last } = loads({
      timeout: 300,
      fallback: [
        ({ signal }) => {
          inner = signal
          return never()
        },
        { value: 'next' },
      ],
    })
    const result = watch(load('a'))
    last().fail(down)
    await clock.advance(299)
    expect(result.state).toBe('pending')
    await clock.advance(1)
    expect(result.value).toBe('next')
    expect(inner?.reason).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  test('when total passes only values are served any more', async () => {
    let asked = 0
    const { clock, load, last } = loads({ fallback: [never, () => ++asked, { value: 'plain' }] })
    const result = watch(load.with({ total: 200 })('a'))
    await clock.advance(50)
    last().fail(down)
    await clock.advance(150)
    expect(result.value).toBe('plain')
    expect(asked).toBe(0)
  })

  test('when total passes and there is no value the original error is thrown', async () => {
    const { clock, load, last } = loads({ fallback: never })
    const result = watch(load.with({ total: 200 })('a'))
    last().fail(down)
    await clock.advance(200)
    expect(result.error).toBe(down)
  })

  test('in compose, where there may be no timeout, an asynchronous one has 3 s', async () => {
    const clock = new ManualClock()
    const load = compose([fallback(never)], [], { clock })((): Promise<string> => Promise.reject(down))
    const result = watch(load())
    await clock.advance(2_999)
    expect(result.state).toBe('pending')
    await clock.advance(1)
    expect(result.error).toBe(down)
  })

  test('its late answer reaches nobody, and its late error hurts nobody', async () => {
    const [slow, broken] = [gate<string>(), gate<string>()]
    const { clock, load, last } = loads({
      timeout: 100,
      fallback: [() => slow.promise, () => broken.promise, { value: 'last' }],
    })
    const outcome = watch(load.outcome('a'))
    last().fail(down)
    await clock.advance(200)
    slow.open('late')
    broken.fail(new Error('late'))
    await settle()
    expect(outcome.value).toMatchObject({ value: 'last', source: 'fallback' })
  })
})

describe('when none runs', () => {
  test("after a caller's abort, neither function nor value", async () => {
    let asked = 0
    const { load, last } = loads({ fallback: [() => ++asked, { value: 'instead' }] })
    const controller = new AbortController()
    const result = watch(load.with({ signal: controller.signal })('a'))
    controller.abort('gone')
    last().fail(down)
    await settle()
    expect(result.error).toBe('gone')
    expect(asked).toBe(0)
  })

  test('a caller that leaves in the course of one that throws at once is asked for no other', async () => {
    let asked = 0
    const controller = new AbortController()
    const { load, last } = loads({
      fallback: [
        () => {
          controller.abort('gone')
          throw new Error('too')
        },
        () => ++asked,
      ],
    })
    const result = watch(load.with({ signal: controller.signal })('a'))
    last().fail(down)
    await settle()
    expect([result.error, asked]).toEqual(['gone', 0])
  })

  test('a caller that leaves while one is running gets its own reason, and no other is asked', async () => {
    let asked = 0
    const slow = gate<string>()
    const { load, last } = loads({ fallback: [() => slow.promise, () => ++asked] })
    const controller = new AbortController()
    const result = watch(load.with({ signal: controller.signal })('a'))
    last().fail(down)
    await settle()
    controller.abort('gone')
    slow.fail(new Error('aborted'))
    await settle()
    expect(result.error).toBe('gone')
    expect(asked).toBe(0)
  })

  test('a caller that has left is served nothing late, and nothing is counted', async () => {
    const slow = gate<string>()
    const { dependency, load, last } = loads({ fallback: () => slow.promise })
    const controller = new AbortController()
    const result = watch(load.with({ signal: controller.signal })('a'))
    last().fail(down)
    await settle()
    controller.abort('gone')
    slow.open('late')
    await settle()
    expect(result).toMatchObject({ state: 'rejected', error: 'gone' })
    expect(dependency.health().counts.fallbacks).toBe(0)
  })

  test('for an error that is not a failure', async () => {
    let asked = 0
    const { failing } = loads({ fallback: [() => ++asked, { value: 'instead' }] })
    const missing = Object.assign(new Error('missing'), { status: 404 })
    expect(await failing('a', missing)).toBe(missing)
    expect(asked).toBe(0)
  })

  test('for an error that isFailure says is none', async () => {
    const { failing } = loads(
      { fallback: { value: 'instead' } },
      { circuit: { isFailure: ({ error }) => error !== down } },
    )
    expect(await failing('a')).toBe(down)
  })

  test('when a closed dependency refuses the call', async () => {
    const { dependency, load } = loads({ fallback: { value: 'instead' } })
    await dependency.close()
    await expect(load('a')).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})

describe('for refusals and timeouts', () => {
  test('an unavailable dependency is answered by it in the same turn', async () => {
    const { registry, load, runs } = loads({ fallback: ({ error }) => (error as { code: string }).code })
    registry.setMode('feed', 'unavailable', { reason: 'test' })
    expect(await load('a')).toBe('ERR_UNAVAILABLE')
    expect(runs).toHaveLength(0)
  })

  test('an attempt that times out is answered by it, and counted', async () => {
    const { clock, dependency, load } = loads({ timeout: 100, fallback: { value: 'instead' } })
    const result = watch(load('a'))
    await clock.advance(100)
    expect(result.value).toBe('instead')
    expect(dependency.health().counts).toMatchObject({ timeouts: 1, fallbacks: 1 })
  })
})

describe('a value that isFailure judged failed', () => {
  const judging = { circuit: { isFailure: ({ value }: { value?: unknown }) => value === 'bad' } }

  test('is what the caller gets when there is nothing better, with the reason in its outcome', async () => {
    const { load, last } = loads({}, judging)
    const outcome = load.outcome('a')
    last().open('bad')
    expect(await outcome).toMatchObject({ value: 'bad', source: 'live', error: { code: 'ERR_FAILED_VALUE' } })
  })

  test('is what the caller gets when every fallback fails, and is not kept', async () => {
    const { load, last } = loads({ fallback: () => Promise.reject(new Error('too')) }, judging)
    const result = load('a')
    last().open('bad')
    expect(await result).toBe('bad')
    expect(load.cache.delete('a')).toBe(false)
  })

  test('gives way to a fallback, which is told so', async () => {
    const { load, last } = loads({ fallback: ({ error }) => (error as { code: string }).code }, judging)
    const outcome = load.outcome('a')
    last().open('bad')
    expect(await outcome).toMatchObject({ value: 'ERR_FAILED_VALUE', source: 'fallback' })
  })
})

describe('options', () => {
  const bad: [string, unknown][] = [
    ['an empty array', []],
    ['a bare value', 'instead'],
    ['null', null],
    ['an object without value', {}],
    ['an object with more than value', { value: 1, ttl: 2 }],
    ['an array that holds something else', [{ value: 1 }, 'instead']],
    ['a nested array', [[{ value: 1 }]]],
  ]
  test.each(bad)('%s is refused where an operation is wrapped', (_, given) => {
    const { dependency } = loads()
    const wrap = (): unknown => dependency.wrap(() => 1, { fallback: given as never })
    expect(wrap).toThrow(OptionError)
    expect(wrap).toThrow(expect.objectContaining({ path: 'fallback' }) as Error)
  })

  test.each([[[]], [['instead']], [[null]], [[{}]], [[{ value: 1 }, { value: 1, ttl: 2 }]]])(
    'fallback(...%j) is refused',
    (given) => {
      expect(() => fallback(...(given as never[]))).toThrow(expect.objectContaining({ path: 'fallback' }) as Error)
    },
  )

  test('what is changed afterwards in the object or the array that was given has no effect', async () => {
    const alternative = { value: 'as given' }
    const list = [alternative]
    const { failing } = loads({ fallback: list })
    const composed = compose([fallback(alternative)], [timeout(100)])((): Promise<string> => Promise.reject(down))
    alternative.value = 'changed'
    list.length = 0
    expect(await failing('a')).toBe('as given')
    expect(await composed()).toBe('as given')
  })
})
