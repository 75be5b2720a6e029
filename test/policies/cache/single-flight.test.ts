import { describe, expect, test } from 'vitest'
import { settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { down, loads } from '../../support/loads.js'

const readThrough = { freshFor: 1_000 }
const oneSlotForStats = { bulkhead: { slots: 2, queue: 0, classes: { stats: { guaranteed: 0, atMost: 1 } } } }

describe('8. single flight', () => {
  test('in read-through callers of one key share one call, those of another have their own', async () => {
    const { load, runs } = loads(readThrough)
    const callers = [watch(load('a')), watch(load('a')), watch(load('b')), watch(load('a'))]
    expect(runs.map(({ id }) => id)).toEqual(['a', 'b'])
    runs[0]!.open('A')
    runs[1]!.open('B')
    await settle()
    expect(callers.map(({ value }) => value)).toEqual(['A', 'A', 'B', 'A'])
    expect(load.cache.counts()).toMatchObject({ joined: 2, written: 2 })
  })

  test('in fallback-only every caller has a call of its own, unless coalesce says otherwise', () => {
    const alone = loads()
    void watch(alone.load('a'))
    void watch(alone.load('a'))
    expect(alone.runs).toHaveLength(2)
    const together = loads({ coalesce: true })
    void watch(together.load('a'))
    void watch(together.load('a'))
    expect(together.runs).toHaveLength(1)
    const apart = loads({ freshFor: 10, coalesce: false })
    void watch(apart.load('a'))
    void watch(apart.load('a'))
    expect(apart.runs).toHaveLength(2)
  })

  test('a shared call counts once for the dependency and holds one slot', async () => {
    const { dependency, load, last } = loads(readThrough)
    const callers = [load('a'), load('a'), load('a')]
    expect(dependency.inFlight()).toHaveLength(1)
    last().open(1)
    await Promise.all(callers)
    expect(dependency.health().counts).toMatchObject({ fires: 1, successes: 1, joins: 2 })
  })

  test('joiners share its error and errors are not kept: the next caller makes a call of its own', async () => {
    const { load, runs, last } = loads(readThrough)
    const callers = [watch(load('a')), watch(load('a'))]
    last().fail(down)
    await settle()
    expect(callers.map(({ error }) => error)).toEqual([down, down])
    const next = watch(load('a'))
    expect(runs).toHaveLength(2)
    last().open('back')
    await settle()
    expect(next.value).toBe('back')
  })

  test('a joiner who is given less time gets its own timeout, and the others get the answer', async () => {
    const { clock, load, runs, last } = loads(readThrough)
    const patient = watch(load('a'))
    await clock.advance(50)
    const hasty = watch(load.with({ timeout: 100 })('a'))
    const late = watch(load.with({ deadline: clock.wall() + 200 })('a'))
    await clock.advance(100)
    expect(hasty).toMatchObject({ state: 'rejected', error: { code: 'ERR_CALL_TIMEOUT' } })
    expect(late.state).toBe('pending')
    await clock.advance(100)
    expect(late).toMatchObject({ state: 'rejected', error: { code: 'ERR_DEADLINE' } })
    expect(runs[0]!.context.signal.aborted).toBe(false)
    last().open('value')
    await settle()
    expect(patient.value).toBe('value')
    expect(runs).toHaveLength(1)
  })

  test("it does not run under the leader's deadline: the leader leaves, and the joiner gets the answer", async () => {
    const { clock, load, last } = loads(readThrough)
    const leader = watch(load.with({ total: 100 })('a'))
    const joiner = watch(load('a'))
    await clock.advance(100)
    expect(leader.error).toMatchObject({ code: 'ERR_DEADLINE' })
    expect(last().context.signal.aborted).toBe(false)
    last().open('value')
    await settle()
    expect(joiner.value).toBe('value')
  })

  test("it does not run under the timeout of its leader's class", async () => {
    const { clock, load, last } = loads(readThrough, {
      timeout: 500,
      bulkhead: { slots: 9, classes: { stats: { timeout: 100 } } },
    })
    void watch(load.with({ class: 'stats' })('a'))
    await clock.advance(499)
    expect(last().context.signal.aborted).toBe(false)
    await clock.advance(1)
    expect(last().context.signal.aborted).toBe(true)
  })

  test("it does not run under the leader's signal: the work is aborted only when every caller has left", async () => {
    const { load, runs, last } = loads(readThrough)
    const controllers = [new AbortController(), new AbortController(), new AbortController()]
    const callers = controllers.map(({ signal }) => watch(load.with({ signal })('a')))
    const { signal } = last().context
    controllers[0]!.abort('first')
    controllers[2]!.abort('third')
    await settle()
    expect(callers.map(({ error }) => error)).toEqual(['first', undefined, 'third'])
    expect(signal.aborted).toBe(false)
    controllers[1]!.abort('second')
    expect(signal.reason).toBe('second')
    void watch(load('a'))
    expect(runs).toHaveLength(2)
  })

  test('it runs under the timeout of the operation, and then every caller is served the stale value', async () => {
    const { clock, load, fill } = loads({ freshFor: 10, timeout: 300 })
    await fill('a', 'old')
    await clock.advance(10)
    const callers = [watch(load.outcome('a')), watch(load.with({ timeout: 5_000 }).outcome('a'))]
    await clock.advance(300)
    for (const { value } of callers)
      expect(value).toMatchObject({ value: 'old', source: 'stale', error: { code: 'ERR_CALL_TIMEOUT' } })
  })

  test('its late success is kept', async () => {
    const { clock, load, runs, last } = loads({ freshFor: 1_000, timeout: 300 })
    const gaveUp = watch(load('a'))
    await clock.advance(300)
    expect(gaveUp.state).toBe('rejected')
    last().open('late')
    await settle()
    expect(await load.outcome('a')).toMatchObject({ value: 'late', source: 'fresh', age: 300 })
    expect(runs).toHaveLength(1)
  })

  test("a refusal of the shared call is the leader's; each joiner has its own try", async () => {
    const { load, runs } = loads(readThrough, oneSlotForStats)
    void watch(load.with({ class: 'stats' })('other'))
    const leader = watch(load.with({ class: 'stats' })('a'))
    const joiner = watch(load('a'))
    await settle()
    expect(leader).toMatchObject({ state: 'rejected', error: { code: 'ERR_BULKHEAD_FULL' } })
    expect(runs.map(({ id }) => id)).toEqual(['other', 'a'])
    runs[1]!.open('value')
    await settle()
    expect(joiner.value).toBe('value')
  })

  test('a joiner whose time is over while the shared call waits in line starts nothing', async () => {
    const { clock, load, runs } = loads(readThrough, { bulkhead: { slots: 1, maxWait: 1_000 } })
    void watch(load('other'))
    const abandoning = new AbortController()
    void watch(load.with({ signal: abandoning.signal })('a'))
    const joiner = watch(load.with({ total: 100 })('a'))
    abandoning.abort()
    await clock.advance(99)
    expect(joiner.state).toBe('pending')
    await clock.advance(1)
    expect(joiner).toMatchObject({ state: 'rejected', error: { code: 'ERR_DEADLINE' } })
    runs[0]!.open('free')
    await settle()
    expect(runs).toHaveLength(1)
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  test('a refused joiner that tries by itself has its whole timeout, and its value is as old as its own try', async () => {
    const { clock, load, runs } = loads(
      { freshFor: 10_000, timeout: 500 },
      { bulkhead: { slots: 2, maxWait: 400, classes: { stats: { guaranteed: 0, atMost: 1 } } } },
    )
    void watch(load.with({ class: 'stats', timeout: 5_000 })('other'))
    void watch(load.with({ class: 'stats' })('a'))
    const joiner = watch(load('a'))
    await clock.advance(400)
    expect(runs.map(({ id }) => id)).toEqual(['other', 'a'])
    await clock.advance(499)
    expect(joiner.state).toBe('pending')
    runs[1]!.open('value')
    await settle()
    expect(await load.outcome('a')).toMatchObject({ value: 'value', age: 499 })
  })

  test('a refused joiner that leaves takes its own work with it: signal, slot and sample', async () => {
    const { dependency, load, runs } = loads(readThrough, oneSlotForStats)
    void watch(load.with({ class: 'stats' })('other'))
    void watch(load.with({ class: 'stats' })('a'))
    const controller = new AbortController()
    const joiner = watch(load.with({ signal: controller.signal })('a'))
    await settle()
    const { signal } = runs[1]!.context
    controller.abort('gone')
    await settle()
    expect(joiner).toMatchObject({ state: 'rejected', error: 'gone' })
    expect(signal.reason).toBe('gone')
    expect(dependency.inFlight()).toMatchObject([{ callerGone: false }, { callerGone: true }])
    expect(dependency.health().counts.aborts).toBe(1)
    runs[1]!.open('late')
    await settle()
    expect(dependency.inFlight()).toHaveLength(1)
  })

  test("a caller's abort reaches the fallback that it is being served by", async () => {
    let inner: AbortSignal | undefined
    const { load, last } = loads({
      ...readThrough,
      fallback: ({ signal }) => {
        inner = signal
        return new Promise(() => undefined)
      },
    })
    const controller = new AbortController()
    const caller = watch(load.with({ signal: controller.signal })('a'))
    last().fail(down)
    await settle()
    controller.abort('gone')
    await settle()
    expect(inner?.reason).toBe('gone')
    expect(caller).toMatchObject({ state: 'rejected', error: 'gone' })
  })

  test('each caller is served by its own fallback: the shared call recovers for none', async () => {
    let served = 0
    const { load, last } = loads({ ...readThrough, fallback: () => ++served })
    const callers = [watch(load('a')), watch(load('a'))]
    last().fail(down)
    await settle()
    expect(callers.map(({ value }) => value)).toEqual([1, 2])
  })

  test('a shared error that is not a failure is the answer of every caller, and no fallback runs', async () => {
    const { load, last } = loads({ ...readThrough, fallback: { value: 'instead' } })
    const missing = Object.assign(new Error('missing'), { status: 404 })
    const callers = [watch(load('a')), watch(load('a'))]
    last().fail(missing)
    await settle()
    expect(callers.map(({ error }) => error)).toEqual([missing, missing])
  })

  test('a shared value that was judged failed is the answer of every caller when there is nothing better', async () => {
    const { load, runs, last } = loads(readThrough, { circuit: { isFailure: ({ value }) => value === 'bad' } })
    const callers = [watch(load('a')), watch(load('a'))]
    last().open('bad')
    await settle()
    expect(callers.map(({ value }) => value)).toEqual(['bad', 'bad'])
    void watch(load('a'))
    expect(runs).toHaveLength(2)
  })

  test('a shared call that is cut short by its last caller counts as slow once it was past the slow level', async () => {
    const { clock, dependency, load } = loads(readThrough, { circuit: { slowCall: 100, minimumCalls: 2 } })
    for (const id of ['a', 'b']) void watch(load.with({ total: 150 })(id))
    await clock.advance(150)
    expect(dependency.health()).toMatchObject({ mode: 'unavailable', counts: { cuts: 2, aborts: 0, failures: 0 } })
  })

  test('a shared call whose callers all aborted gives no sample', async () => {
    const { clock, dependency, load } = loads(readThrough, { circuit: { slowCall: 100, minimumCalls: 1 } })
    const controller = new AbortController()
    void watch(load.with({ signal: controller.signal })('a'))
    await clock.advance(150)
    controller.abort()
    expect(dependency.health()).toMatchObject({ mode: 'available', counts: { cuts: 0, aborts: 1 } })
  })

  test('a call event is told for each caller and none for the shared call itself', async () => {
    const { registry, load, last } = loads(readThrough)
    const told: unknown[] = []
    registry.on('call', ({ ok, source }) => told.push([ok, source]))
    const callers = [load('a'), load('a')]
    last().open(1)
    await Promise.all(callers)
    expect(told).toEqual([
      [true, 'live'],
      [true, 'live'],
    ])
  })
})
