import { afterEach, expect, test, vi } from 'vitest'
import {
  BulkheadFullError,
  CallTimeoutError,
  compose,
  createRegistry,
  OptionError,
  timeout,
  UnavailableError,
  type CallContext,
  type DependencyOptions,
  type OperationOptions,
} from '../../src/index.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate, type Gate } from '../support/gate.js'
import { rig } from '../support/rig.js'

const down = new Error('down')

/** Trips at the second failure of four calls, and tries again after a second, without a ramp. */
const circuit = { minimumCalls: 4, failureRate: 0.5, consecutiveFailures: false, openFor: 1_000, rampFor: 0 } as const

afterEach(() => {
  vi.restoreAllMocks()
})

test("one call's timeout does not abort the signals of its neighbours", async () => {
  const { clock, dependency } = rig({ timeout: 100 })
  const signals: AbortSignal[] = []
  const slow = gate<string>()
  const load = dependency.wrap(({ signal }) => {
    signals.push(signal)
    return slow.promise
  })
  const first = watch(load())
  await clock.advance(60)
  const second = watch(load())
  await clock.advance(40)
  expect(first.error).toBeInstanceOf(CallTimeoutError)
  expect(signals.map((signal) => signal.aborted)).toEqual([true, false])
  slow.open('answer')
  await settle()
  expect(second.value).toBe('answer')
})

test('nothing is sorted or concatenated for a failure, however many calls the window holds', async () => {
  const feed = rig({ circuit: { minimumCalls: 10_000, consecutiveFailures: false } })
  const told = vi.fn()
  feed.dependency.circuit.on('failure', told)
  await feed.failing(500)
  const [sort, concat] = [vi.spyOn(Array.prototype, 'sort'), vi.spyOn(Array.prototype, 'concat')]
  await feed.failing(500)
  const work = [sort.mock.calls.length, concat.mock.calls.length]
  vi.restoreAllMocks()
  expect(work).toEqual([0, 0])
  expect(told).toHaveBeenCalledTimes(1_000)
})

test('an operation that returns undefined is a success, and its answer is kept like any other', async () => {
  const { dependency } = rig({ circuit })
  let fails = false
  const touch = dependency.wrap(() => (fails ? Promise.reject(down) : undefined), { key: () => 'it', scope: 'public' })
  for (let i = 0; i < 10; i++) await touch()
  expect(dependency.health()).toMatchObject({ mode: 'available', window: { calls: 10, failures: 0 } })
  fails = true
  expect(await touch.outcome()).toMatchObject({ value: undefined, source: 'stale', error: down })
})

test('a trial that hangs loses its turn when its lease ends, and the next trial closes the circuit', async () => {
  const feed = rig({
    timeout: 100,
    circuit: { ...circuit, openForAtMost: 1_000 },
  })
  await feed.failing(4)
  await feed.clock.advance(1_000)
  const hung = watch(feed.call())
  await feed.clock.advance(100)
  expect(hung.error).toBeInstanceOf(CallTimeoutError)
  await feed.clock.advance(1_000)
  const next = watch(feed.call())
  expect(feed.begun).toHaveLength(2)
  feed.begun[1]!.open('back')
  await settle()
  expect(next.value).toBe('back')
  expect(feed.dependency.mode).toBe('available')
})

test('a success from before the opening does not close the circuit, and its caller gets the value', async () => {
  const feed = rig({ timeout: 9_000, circuit })
  const early = [watch(feed.call()), watch(feed.call())]
  await feed.failing(4)
  feed.begun[0]!.open('while open')
  await settle()
  expect(feed.dependency.health().circuit).toBe('open')
  await feed.clock.advance(1_000)
  expect(feed.dependency.health().circuit).toBe('half-open')
  feed.begun[1]!.open('while half-open')
  await settle()
  expect(feed.dependency.health().circuit).toBe('half-open')
  expect(early.map(({ value }) => value)).toEqual(['while open', 'while half-open'])
})

test('one failure after the circuit has closed does not open it again', async () => {
  const feed = rig({ circuit })
  await feed.failing(4)
  await feed.clock.advance(1_000)
  await feed.succeed()
  expect(feed.dependency.mode).toBe('available')
  await feed.failing(3)
  expect(feed.dependency.health()).toMatchObject({ mode: 'available', window: { calls: 3, failures: 3 } })
  await feed.failing(1)
  expect(feed.dependency.mode).toBe('unavailable')
})

test('refusals of a full bulkhead are not failures of the dependency, and open nothing', async () => {
  const { dependency, call } = rig({
    bulkhead: { slots: 1, queue: 0 },
    circuit: { ...circuit, consecutiveFailures: 2 },
  })
  void call()
  for (let i = 0; i < 20; i++) await expect(call()).rejects.toBeInstanceOf(BulkheadFullError)
  expect(dependency.health()).toMatchObject({
    mode: 'available',
    window: { calls: 0 },
    counts: { full: 20, failures: 0 },
  })
})

test('answers from the cache do not dilute the failure rate', async () => {
  const { dependency } = rig({ circuit, stale: { freshFor: 5_000 } })
  const load = dependency.wrap((_, id: string) => (id === 'good' ? 'value' : Promise.reject(down)), {
    key: (id) => id,
    scope: 'public',
  })
  for (let i = 0; i < 100; i++) await load('good')
  for (const id of ['a', 'b', 'c']) await expect(load(id)).rejects.toBe(down)
  expect(dependency.health()).toMatchObject({ mode: 'unavailable', counts: { fresh: 99 }, window: { calls: 4 } })
})

test('a timeout does not free the slot of work that goes on: one slot never runs two operations', async () => {
  const { clock, dependency } = rig({ timeout: 100, bulkhead: { slots: 1, queue: 0 } })
  const works: Gate<void>[] = []
  const load = dependency.wrap(() => {
    const work = gate()
    works.push(work)
    return work.promise
  })
  const timedOut = watch(load())
  await clock.advance(100)
  expect(timedOut.error).toBeInstanceOf(CallTimeoutError)
  for (let i = 0; i < 4; i++) await expect(load()).rejects.toBeInstanceOf(BulkheadFullError)
  expect(works).toHaveLength(1)
  works[0]!.open()
  await settle()
  void load()
  expect(works).toHaveLength(2)
})

test('an error classifier that throws leaves no call unsettled, and the default holds', async () => {
  const isFailure = (): never => {
    throw new Error('classifier')
  }
  const { registry, dependency } = rig({ circuit: { ...circuit, isFailure } })
  const reported = vi.fn()
  registry.on('error', reported)
  await expect(dependency.run(() => Promise.reject(down))).rejects.toBe(down)
  expect(await dependency.run(() => 'fine')).toBe('fine')
  expect(dependency.health().window).toMatchObject({ calls: 2, failures: 1 })
  expect(reported).toHaveBeenCalledTimes(2)
})

test('a classifier and an error reporter that both throw leave no composed call unsettled', async () => {
  const throws = (): never => {
    throw new Error('hook')
  }
  const composed = compose([], [timeout(100)], { clock: new ManualClock(), isFailure: throws, onError: throws })
  const calls = [watch(composed(() => Promise.reject(down))()), watch(composed(() => Promise.resolve('fine'))())]
  await settle()
  expect(calls).toEqual([
    { state: 'rejected', error: down },
    { state: 'resolved', value: 'fine' },
  ])
})

const broken = (): never => {
  throw new Error('cache')
}

type Thing = { status: number }

test.each<[string, OperationOptions<[], Thing>, DependencyOptions['stale']]>([
  ['key', { key: broken, scope: 'public' }, {}],
  ['scope', { key: () => 'it', scope: broken }, {}],
  ['cacheIf', { key: () => 'it', scope: 'public', cacheIf: broken }, {}],
  ['version', { key: () => 'it', scope: 'public', version: broken }, {}],
  ['evictOn', { key: () => 'it', scope: 'public', evictOn: broken }, {}],
  ['sizeOf', { key: () => 'it', scope: 'public' }, { maxBytes: 1_000, sizeOf: broken }],
])('a cache whose %s throws releases the slot once, and every call is answered', async (_, caching, stale) => {
  const { registry, dependency } = rig({ bulkhead: { slots: 1, queue: 0 }, stale: { ...stale } })
  const reported = vi.fn()
  registry.on('error', reported)
  const works: Gate<Thing>[] = []
  const load = dependency.wrap(() => {
    const work = gate<Thing>()
    works.push(work)
    return work.promise
  }, caching)
  for (const end of [() => works[0]!.fail(down), () => works[1]!.open({ status: 200 })]) {
    const [call, refused] = [watch(load()), watch(load())]
    end()
    await settle()
    expect(call.state).not.toBe('pending')
    expect(refused.error).toBeInstanceOf(BulkheadFullError)
    expect(dependency.health()).toMatchObject({ slots: { busy: 0 }, inFlight: 0 })
  }
  expect(reported).toHaveBeenCalled()
})

test('two dependencies made from one options object keep their own values, and leave it as it was', async () => {
  const registry = createRegistry({ clock: new ManualClock() })
  const shared = { timeout: 500, bulkhead: { slots: 2 }, circuit: { ...circuit }, stale: { freshFor: 1_000 } }
  const caching = { name: 'load', key: (id: string) => id, scope: 'public', freshFor: 1_000 } as const
  const before = structuredClone(shared)
  for (const part of [shared, shared.bulkhead, shared.circuit, shared.stale, caching]) Object.freeze(part)
  const made = (name: string) =>
    registry.dependency(name, shared).wrap(({ dependency }: CallContext, id: string) => `${dependency} ${id}`, caching)
  const [one, two] = [made('one'), made('two')]
  for (let i = 0; i < 2; i++) expect([await one('a'), await two('a')]).toEqual(['one a', 'two a'])
  expect(shared).toEqual(before)
})

test('a failure of a shared call is not replayed: the next caller starts a call of its own', async () => {
  const { dependency } = rig()
  const works: Gate<string>[] = []
  const load = dependency.wrap(
    () => {
      const work = gate<string>()
      works.push(work)
      return work.promise
    },
    { key: () => 'it', scope: 'public', freshFor: 60_000 },
  )
  const joined = [watch(load()), watch(load())]
  expect(works).toHaveLength(1)
  works[0]!.fail(down)
  await settle()
  expect(joined.map(({ error }) => error)).toEqual([down, down])
  const next = watch(load())
  works[1]!.open('back')
  await settle()
  expect(next.value).toBe('back')
})

test('there is no default key: calls on a BigInt or on two Maps go through, and a key that throws is passed by', async () => {
  const { dependency } = rig()
  const size = dependency.wrap((_, given: Map<string, bigint>) => given.size, {})
  expect([await size(new Map()), await size(new Map([['a', 1n]]))]).toEqual([0, 1])
  expect(() => dependency.wrap(() => 1, { freshFor: 1_000 })).toThrow(OptionError)

  const double = dependency.wrap((_, n: bigint) => n * 2n, {
    key: (n) => JSON.stringify(n),
    scope: 'public',
    freshFor: 1_000,
  })
  expect([await double(1n), await double(2n)]).toEqual([2n, 4n])
  expect(double.cache.counts()).toMatchObject({ keyErrors: 2, written: 0 })
})

test('an idle dependency has no timer, and one that was closed leaves none behind once its work has ended', async () => {
  const interval = vi.spyOn(globalThis, 'setInterval')
  const feed = rig({ circuit, timeout: 5_000 })
  expect(feed.dependency.circuit.closed).toBe(true)
  expect(feed.clock.pending()).toBe(0)
  await feed.failing(4)
  await expect(feed.call()).rejects.toBeInstanceOf(UnavailableError)
  await feed.clock.advance(5_000)
  expect(feed.clock.pending()).toBe(0)
  void feed.call()
  expect(feed.clock.pending({ referenced: true })).toBe(1)
  const closed = feed.registry.close({ timeout: 50 })
  await feed.clock.advance(50)
  await closed
  expect(feed.clock.pending({ referenced: true })).toBe(0)
  feed.begun[0]!.fail(down)
  await feed.clock.advance(50)
  expect(feed.clock.pending()).toBe(0)
  expect(interval).not.toHaveBeenCalled()
})
