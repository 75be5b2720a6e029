import { describe, expect, test } from 'vitest'
import { gather } from '../../../src/request/gather.js'
import { createRegistry } from '../../../src/registry.js'
import { Scope } from '../../../src/request/scope.js'
import { ManualClock, settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { down, loads } from '../../support/loads.js'

const soft = { softTimeout: 100, timeout: 500 }
const ways: [string, { freshFor?: number; coalesce?: boolean }][] = [
  ['callers go alone', {}],
  ['callers go together', { freshFor: 10 }],
]

describe('5. soft timeout', () => {
  test.each(ways)('after it a caller is served the stale value, with its true age (%s)', async (_, own) => {
    const { clock, load, fill } = loads({ ...soft, ...own })
    await fill('a', 'old')
    await clock.advance(50)
    const outcome = watch(load.outcome('a'))
    await clock.advance(99)
    expect(outcome.state).toBe('pending')
    await clock.advance(1)
    expect(outcome.value).toEqual({ value: 'old', source: 'stale', stale: true, age: 150 })
    expect(load.cache.counts()).toMatchObject({ stale: 1, staleSlow: 1 })
  })

  test.each(ways)('the call goes on, its late success is stored, and it counts once (%s)', async (_, own) => {
    const { clock, dependency, load, last, fill, failing } = loads({ ...soft, ...own })
    await fill('a', 'old')
    await clock.advance(50)
    const served = watch(load('a'))
    await clock.advance(100)
    expect(served.value).toBe('old')
    expect(last().context.signal.aborted).toBe(false)
    await clock.advance(200)
    last().open('new')
    await settle()
    expect(dependency.health().counts).toMatchObject({ fires: 2, successes: 2, failures: 0, lates: 0, aborts: 0 })
    expect(dependency.inFlight()).toEqual([])
    await clock.advance(10)
    expect(await failing('a')).toBe('new')
    expect(load.cache.counts()).toMatchObject({ written: 2 })
  })

  test.each(ways)('the call goes on under its own timeout, which is one failure (%s)', async (_, own) => {
    const { clock, dependency, load, last, fill } = loads({ ...soft, ...own })
    await fill('a', 'old')
    await clock.advance(50)
    void watch(load('a'))
    await clock.advance(499)
    expect(last().context.signal.aborted).toBe(false)
    await clock.advance(1)
    expect(last().context.signal.reason).toMatchObject({ code: 'ERR_CALL_TIMEOUT' })
    last().fail(down)
    await settle()
    expect(dependency.health().counts).toMatchObject({ timeouts: 1, failures: 1, cuts: 0, aborts: 0 })
  })

  test('each caller has its own, from its own start, joiners included', async () => {
    const { clock, load, runs, fill } = loads({ ...soft, freshFor: 10 })
    await fill('a', 'old')
    await clock.advance(50)
    const first = watch(load('a'))
    await clock.advance(60)
    const second = watch(load('a'))
    await clock.advance(40)
    expect([first.state, second.state]).toEqual(['resolved', 'pending'])
    await clock.advance(59)
    expect(second.state).toBe('pending')
    await clock.advance(1)
    expect(second.value).toBe('old')
    expect(runs).toHaveLength(2)
  })

  test('with no stale value it goes on waiting, and there is no timer for it', async () => {
    const clocks = [new ManualClock(), new ManualClock()]
    const pending = clocks.map((clock, index) => {
      const { load } = loads(index === 0 ? soft : { timeout: 500 }, {}, clock)
      return [watch(load('a')), clock.pending()] as const
    })
    expect(pending[0]![1]).toBe(pending[1]![1])
    await clocks[0]!.advance(499)
    expect(pending[0]![0].state).toBe('pending')
  })

  test('a value that will have passed staleFor by then is none', async () => {
    const { clock, load, fill } = loads({ ...soft, staleFor: 200 })
    await fill('a', 'old')
    await clock.advance(100)
    void watch(load('nothing there'))
    const timers = clock.pending()
    const slow = watch(load('a'))
    expect(clock.pending()).toBe(timers)
    await clock.advance(400)
    expect(slow.state).toBe('pending')
  })

  test('a value that is deleted while a caller waits is not served to it', async () => {
    const { clock, load, last, fill } = loads(soft)
    await fill('a', 'old')
    const slow = watch(load('a'))
    await clock.advance(50)
    load.cache.delete('a')
    await clock.advance(100)
    expect(slow.state).toBe('pending')
    last().open('live')
    await settle()
    expect(slow.value).toBe('live')
  })

  test('one timer serves any number of callers that wait', async () => {
    const { clock, load, fill } = loads(soft)
    for (let i = 0; i < 40; i++) await fill(`${i}`, i)
    void watch(load('0'))
    const timers = clock.pending()
    for (let i = 1; i < 40; i++) void watch(load(`${i}`))
    expect(clock.pending()).toBe(timers)
  })

  test('a quick answer is live, and nothing is left over', async () => {
    const { clock, load, last, fill } = loads(soft)
    await fill('a', 'old')
    const quick = load.outcome('a')
    last().open('new')
    expect(await quick).toEqual({ value: 'new', source: 'live', stale: false, age: 0 })
    expect(clock.pending({ referenced: true })).toBe(0)
    await clock.advance(100)
    expect(load.cache.counts()).toMatchObject({ stale: 0 })
  })

  test.each(ways)('a caller that leaves before takes its work with it (%s)', async (_, own) => {
    const { clock, dependency, load, last, fill } = loads({ ...soft, ...own })
    await fill('a', 'old')
    await clock.advance(50)
    const controller = new AbortController()
    const left = watch(load.with({ signal: controller.signal })('a'))
    await clock.advance(50)
    controller.abort('gone')
    await settle()
    expect(left).toMatchObject({ state: 'rejected', error: 'gone' })
    expect(last().context.signal.reason).toBe('gone')
    expect(dependency.health().counts).toMatchObject({ aborts: 1 })
    await clock.advance(100)
    expect(load.cache.counts()).toMatchObject({ stale: 0 })
  })

  test.each(ways)('an abort after it was served does not reach the work (%s)', async (_, own) => {
    const { clock, dependency, load, last, fill } = loads({ ...soft, ...own })
    await fill('a', 'old')
    await clock.advance(50)
    const controller = new AbortController()
    void watch(load.with({ signal: controller.signal })('a'))
    await clock.advance(100)
    controller.abort('gone')
    expect(last().context.signal.aborted).toBe(false)
    expect(dependency.inFlight()).toMatchObject([{ callerGone: false }])
  })

  test.each(ways)('nor has one whose own time is over after it was served (%s)', async (_, own) => {
    const { clock, load, last, fill } = loads({ ...soft, ...own })
    await fill('a', 'old')
    await clock.advance(50)
    void watch(load.with({ total: 300 })('a'))
    await clock.advance(400)
    expect(last().context.signal.aborted).toBe(false)
  })

  test('the time that a caller gives its call counts from the start of its operation', async () => {
    const { clock, load, runs, fill } = loads(soft, { bulkhead: { slots: 1, maxWait: 400 } })
    await fill('a', 'old')
    void watch(load('other'))
    const waiting = watch(load.with({ timeout: 200 })('a'))
    load.cache.delete('a')
    await clock.advance(150)
    runs[1]!.open('done')
    await clock.advance(199)
    expect(waiting.state).toBe('pending')
    await clock.advance(1)
    expect(waiting).toMatchObject({ state: 'rejected', error: { code: 'ERR_CALL_TIMEOUT' } })
  })

  test('a caller that was served has not left its flight: the others may go, and it goes on', async () => {
    const { clock, load, last, fill } = loads({ ...soft, freshFor: 10 })
    await fill('a', 'old')
    await clock.advance(50)
    const served = watch(load('a'))
    await clock.advance(60)
    const controller = new AbortController()
    void watch(load.with({ signal: controller.signal })('a'))
    await clock.advance(40)
    expect(served.state).toBe('resolved')
    controller.abort('gone')
    expect(last().context.signal.aborted).toBe(false)
  })

  test.each(ways)('neither the end of the response nor its client aborts what goes on (%s)', async (_, own) => {
    const { clock, load, last, fill } = loads({ ...soft, ...own })
    await fill('a', 'old')
    await clock.advance(50)
    const scope = new Scope(clock, 300, 0)
    const served = scope.run(() => watch(load('a')))
    await clock.advance(100)
    expect(served.value).toBe('old')
    scope.end()
    scope.abort(new Error('the client went away'))
    scope.expire()
    expect(last().context.signal.aborted).toBe(false)
    last().open('new')
    await settle()
    expect(load.cache.counts()).toMatchObject({ written: 2 })
  })

  test.each(ways)(
    'a caller with less time than that is served at its deadline, and takes its work along (%s)',
    async (_, own) => {
      const { clock, load, last, fill } = loads({ ...soft, ...own })
      await fill('a', 'old')
      await clock.advance(50)
      const outcome = watch(load.with({ total: 60 }).outcome('a'))
      await clock.advance(60)
      expect(outcome.value).toMatchObject({ value: 'old', error: { code: 'ERR_DEADLINE' } })
      expect(last().context.signal.aborted).toBe(true)
    },
  )

  test('in a gather it is served in time', async () => {
    const { clock, load, fill } = loads(soft)
    await fill('a', 'old')
    const gathered = watch(gather(() => ({ a: load('a') }), { within: 100, clock }))
    await clock.advance(100)
    expect(gathered.value).toMatchObject({ values: { a: 'old' } })
  })

  test('a failure before it is answered with the stale value at once, and tells why', async () => {
    const { load, last, fill } = loads(soft)
    await fill('a', 'old')
    const outcome = load.outcome('a')
    last().fail(down)
    expect(await outcome).toMatchObject({ value: 'old', error: down })
    expect(load.cache.counts()).toMatchObject({ staleFailure: 1, staleSlow: 0 })
  })

  test('an unavailable dependency is answered in the same turn, with no timer', async () => {
    const { clock, registry, load, fill } = loads(soft)
    await fill('a', 'old')
    registry.setMode('feed', 'unavailable', { reason: 'test' })
    const timers = clock.pending()
    const outcome = watch(load.outcome('a'))
    expect(clock.pending()).toBe(timers)
    await settle()
    expect(outcome.value).toMatchObject({ value: 'old', error: { code: 'ERR_UNAVAILABLE' } })
  })

  test('it counts while the call waits for a slot, too', async () => {
    const { clock, load, runs, fill } = loads(soft, { bulkhead: { slots: 1, maxWait: 400 } })
    await fill('a', 'old')
    void watch(load('other'))
    const waiting = watch(load('a'))
    await clock.advance(100)
    expect(waiting.value).toBe('old')
    runs[1]!.open('done')
    await settle()
    expect(runs.map(({ id }) => id)).toEqual(['a', 'other', 'a'])
  })

  test('a joiner whose flight was refused keeps its time, and its own try goes on behind', async () => {
    const { clock, load, runs, last, fill } = loads(
      { ...soft, freshFor: 10 },
      { bulkhead: { slots: 2, maxWait: 60, classes: { stats: { guaranteed: 0, atMost: 1 } } } },
    )
    await fill('a', 'old')
    await clock.advance(50)
    void watch(load.with({ class: 'stats', timeout: 5_000 })('other'))
    void watch(load.with({ class: 'stats' })('a'))
    const controller = new AbortController()
    const joiner = watch(load.with({ signal: controller.signal })('a'))
    await clock.advance(60)
    expect(runs.map(({ id }) => id)).toEqual(['a', 'other', 'a'])
    await clock.advance(39)
    expect(joiner.state).toBe('pending')
    await clock.advance(1)
    expect(joiner.value).toBe('old')
    controller.abort()
    last().open('new')
    await settle()
    expect(load.cache.counts()).toMatchObject({ written: 2 })
  })

  test('a call of a class has the timeout of its class behind', async () => {
    const { clock, load, last, fill } = loads(
      { softTimeout: 50 },
      { timeout: 500, bulkhead: { slots: 9, classes: { stats: { timeout: 100 } } } },
    )
    await fill('a', 'old')
    void watch(load.with({ class: 'stats' })('a'))
    await clock.advance(100)
    expect(last().context.signal.aborted).toBe(true)
  })

  test('its call events say stale, once for each caller', async () => {
    const { clock, registry, load, fill } = loads(soft)
    await fill('a', 'old')
    const sources: unknown[] = []
    registry.on('call', ({ ok, source }) => sources.push([ok, source]))
    void watch(load('a'))
    await clock.advance(500)
    expect(sources).toEqual([[true, 'stale']])
  })

  test('the dependency says it for its operations, and each may say otherwise', async () => {
    const { clock, load, fill } = loads({}, { stale: { softTimeout: 100 }, timeout: 500 })
    await fill('a', 'old')
    const slow = watch(load('a'))
    await clock.advance(100)
    expect(slow.value).toBe('old')
    const own = loads({ softTimeout: 40 }, { stale: { softTimeout: 100 }, timeout: 500 })
    await own.fill('a', 'old')
    const sooner = watch(own.load('a'))
    await own.clock.advance(40)
    expect(sooner.value).toBe('old')
  })

  test('as long as the timeout or longer, given together, throws; left out, one gives way', () => {
    const registry = createRegistry()
    const cached = { key: () => 'k', scope: 'public' as const }
    const dependency = registry.dependency('a', { timeout: 300, stale: { softTimeout: 100 } })
    for (const softTimeout of [300, 301])
      expect(() => dependency.wrap(() => 1, { ...cached, softTimeout, timeout: 300 })).toThrow(
        expect.objectContaining({ code: 'ERR_OPTION', path: 'softTimeout' }),
      )
    dependency.wrap(() => 1, { ...cached, name: 'one', timeout: 50 })
    dependency.wrap(() => 1, { ...cached, name: 'two', softTimeout: 5_000 })
    expect(() => registry.dependency('b', { timeout: 300, stale: { softTimeout: 300 } })).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION', path: 'stale.softTimeout' }),
    )
    expect(() => createRegistry({ defaults: { timeout: 300, stale: { softTimeout: 300 } } })).toThrow(
      expect.objectContaining({ path: 'defaults.stale.softTimeout' }),
    )
    registry.dependency('c', { stale: { softTimeout: 10_000 } })
    createRegistry({ defaults: { stale: { softTimeout: 500 } } }).dependency('d', { timeout: 300 })
    registry.configure('a', { timeout: 90 })
    expect(() => dependency.wrap(() => 1, { softTimeout: 10 })).toThrow(
      expect.objectContaining({ path: 'softTimeout', message: expect.stringContaining('needs key') as string }),
    )
  })

  test('nothing is left over once the dependency is closed', async () => {
    const { clock, dependency, load, last, fill } = loads(soft)
    await fill('a', 'old')
    const slow = watch(load('a'))
    const closed = dependency.close({ timeout: 1_000 })
    await clock.advance(100)
    expect(slow.value).toBe('old')
    last().open('new')
    await closed
    expect(clock.pending({ referenced: true })).toBe(0)
  })
})
