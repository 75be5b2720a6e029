import { describe, expect, test } from 'vitest'
import { settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { down, loads } from '../../support/loads.js'

describe('4. at once', () => {
  test.each([
    ['in fallback-only', {}],
    ['in read-through', { freshFor: 50 }],
    ['in read-through with a total', { freshFor: 50, total: 5_000 }],
  ])('%s an unavailable dependency means the stale value in the same turn, with no timer', async (_, own) => {
    const { clock, registry, load, runs, fill } = loads(own)
    await fill('a', 1)
    await clock.advance(100)
    registry.setMode('feed', 'unavailable', { reason: 'test' })
    const timers = clock.pending()
    const outcome = watch(load.outcome('a'))
    expect(clock.pending()).toBe(timers)
    await settle()
    expect(outcome.value).toMatchObject({ value: 1, source: 'stale', age: 100, error: { code: 'ERR_UNAVAILABLE' } })
    expect(runs).toHaveLength(1)
  })

  test.each([
    ['in fallback-only', {}],
    ['in read-through', { freshFor: 50 }],
  ])('%s a full bulkhead means the stale value in the same turn, with no timer', async (_, own) => {
    const { clock, load, runs, fill } = loads(own, { bulkhead: { slots: 1, queue: 0 } })
    await fill('a', 1)
    await clock.advance(100)
    watch(load('other'))
    const timers = clock.pending()
    const outcome = watch(load.outcome('a'))
    expect(clock.pending()).toBe(timers)
    await settle()
    expect(outcome.value).toMatchObject({ value: 1, source: 'stale', error: { code: 'ERR_BULKHEAD_FULL' } })
    expect(runs).toHaveLength(2)
  })

  test('a call that waited for a slot in vain is served the stale value', async () => {
    const { clock, load, fill } = loads({}, { bulkhead: { slots: 1, maxWait: 100 } })
    await fill('a', 1)
    watch(load('other'))
    const outcome = watch(load.outcome('a'))
    await clock.advance(100)
    expect(outcome.value).toMatchObject({ value: 1, source: 'stale', error: { code: 'ERR_QUEUE_TIMEOUT' } })
  })
})

describe('6. nothing stale', () => {
  test.each([
    ['in fallback-only', {}],
    ['in read-through', { freshFor: 50 }],
  ])('%s a failure with nothing cached rejects with the very error of the operation', async (_, own) => {
    const { failing } = loads(own)
    expect(await failing('a')).toBe(down)
  })

  test('a refusal with nothing cached rejects with the refusal', async () => {
    const { registry, load } = loads()
    registry.setMode('feed', 'unavailable', { reason: 'test' })
    await expect(load('a')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
  })

  test('a value that has passed staleFor counts as none', async () => {
    const { clock, fill, failing } = loads({ staleFor: 10 })
    await fill('a', 1)
    await clock.advance(10)
    expect(await failing('a')).toBe(down)
  })
})

describe('7. when', () => {
  test('an attempt that times out is answered with the stale value at that instant', async () => {
    const { clock, load, fill } = loads({ timeout: 200 })
    await fill('a', 1)
    const outcome = watch(load.outcome('a'))
    await clock.advance(199)
    expect(outcome.state).toBe('pending')
    await clock.advance(1)
    expect(outcome.value).toMatchObject({ value: 1, age: 200, error: { code: 'ERR_CALL_TIMEOUT' } })
  })

  test('a synchronous throw of the operation is answered with the stale value', async () => {
    const { clock, dependency } = loads()
    let broken = false
    const load = dependency.wrap(
      () => {
        if (broken) throw down
        return 'value'
      },
      { name: 'sync', key: () => 'k', scope: 'public' },
    )
    await load()
    broken = true
    await clock.advance(5)
    expect(await load.outcome()).toEqual({ value: 'value', source: 'stale', stale: true, age: 5, error: down })
  })

  test('when total passes the stale value is served', async () => {
    const { clock, load, fill } = loads({ total: 150, timeout: 100 })
    await fill('a', 1)
    const outcome = watch(load.with({ timeout: 1_000 }).outcome('a'))
    await clock.advance(150)
    expect(outcome.value).toMatchObject({ value: 1, source: 'stale', error: { code: 'ERR_DEADLINE' } })
  })

  test.each([
    ['in fallback-only', {}],
    ['in read-through', { freshFor: 50 }],
  ])('%s a deadline that has passed before the call starts nothing, and the stale value is served', async (_, own) => {
    const { clock, load, runs, fill } = loads(own)
    await fill('a', 1)
    await clock.advance(100)
    const outcome = await load.with({ deadline: clock.wall() }).outcome('a')
    expect(outcome).toMatchObject({ value: 1, source: 'stale', error: { code: 'ERR_DEADLINE' } })
    expect(runs).toHaveLength(1)
  })

  test.each([
    ['in fallback-only', {}],
    ['in read-through', { freshFor: 50 }],
  ])('%s with nothing stale a deadline that has passed is ERR_DEADLINE and starts nothing', async (_, own) => {
    const { clock, load, runs } = loads(own)
    await expect(load.with({ deadline: clock.wall() - 1 })('a')).rejects.toMatchObject({ code: 'ERR_DEADLINE' })
    expect(runs).toHaveLength(0)
  })

  test('after the deadline the fallback function is not started and the fallback value is served', async () => {
    let started = 0
    const { clock, load } = loads({ fallback: [() => ++started, { value: 'plain' }] })
    expect(await load.with({ deadline: clock.wall() }).outcome('a')).toMatchObject({
      value: 'plain',
      source: 'fallback',
    })
    expect(started).toBe(0)
  })

  test.each([
    ['in fallback-only', {}],
    ['in read-through', { freshFor: 50 }],
  ])("%s a caller's abort rejects with the signal's reason, never with the stale value", async (_, own) => {
    const { clock, load, fill } = loads(own)
    await fill('a', 1)
    await clock.advance(100)
    const { signal, reason, abort } = aborting()
    const left = watch(load.with({ signal })('a'))
    abort()
    await settle()
    expect(left).toMatchObject({ state: 'rejected', error: reason })
    const late = watch(load.with({ signal })('a'))
    await settle()
    expect(late).toMatchObject({ state: 'rejected', error: reason })
  })

  test.each([
    ['in fallback-only', {}],
    ['in read-through', { freshFor: 50 }],
  ])('%s an error that is not a failure is the answer, whatever is stale', async (_, own) => {
    const { clock, load, fill, failing } = loads(own)
    await fill('a', 1)
    await clock.advance(100)
    const refused = Object.assign(new Error('who are you'), { status: 401 })
    expect(await failing('a', refused)).toBe(refused)
    expect(load.cache.counts()['stale']).toBe(0)
    expect(await failing('a')).toBe(1)
  })

  test.each([
    ['status', 404],
    ['statusCode', 410],
  ])('an error with %s %i deletes the value: the thing is gone', async (name, status) => {
    const { fill, failing } = loads()
    await fill('a', 1)
    await fill('b', 2)
    await failing('a', Object.assign(new Error('gone'), { [name]: status }))
    expect(await failing('a')).toBe(down)
    expect(await failing('b')).toBe(2)
  })

  test('evictOn decides in place of the status, and a failure that it names is not answered with what it deleted', async () => {
    const { fill, failing } = loads({ evictOn: (error) => error instanceof RangeError })
    await fill('a', 1)
    await failing('a', Object.assign(new Error('kept'), { status: 404 }))
    expect(await failing('a')).toBe(1)
    const gone = new RangeError('gone')
    expect(await failing('a', gone)).toBe(gone)
    expect(await failing('a')).toBe(down)
  })

  test('a 404 of an older call does not delete what a newer one brought', async () => {
    const { clock, load, runs, fill, failing } = loads({ timeout: 100 })
    watch(load('a'))
    await clock.advance(100)
    await fill('a', 'newer')
    runs[0]!.fail(Object.assign(new Error('gone'), { status: 404 }))
    await settle()
    expect(await failing('a')).toBe('newer')
  })

  test('a 404 for one key does not keep results of another that is on its way', async () => {
    const { load, runs, failing } = loads()
    const other = load('b')
    await failing('a', Object.assign(new Error('gone'), { status: 404 }))
    runs[0]!.open('kept')
    await other
    expect(await failing('b')).toBe('kept')
  })

  test('evictOn is not asked about a value that was judged failed, and what it throws hurts no call', async () => {
    const asked: unknown[] = []
    const { reported, fill, failing, load, last } = loads(
      {
        evictOn: (error) => {
          asked.push(error)
          throw new Error('evictOn')
        },
      },
      { circuit: { isFailure: ({ error, value }) => error !== undefined || value === 'bad' } },
    )
    await fill('a', 'good')
    const judged = load('a')
    last().open('bad')
    expect(await judged).toBe('good')
    expect(asked).toEqual([])
    expect(await failing('a')).toBe('good')
    expect(asked).toEqual([down])
    expect(reported).toMatchObject([{ message: 'evictOn' }])
  })
})

function aborting(): { signal: AbortSignal; reason: Error; abort: () => void } {
  const controller = new AbortController()
  const reason = new Error('the client went away')
  return { signal: controller.signal, reason, abort: () => controller.abort(reason) }
}
