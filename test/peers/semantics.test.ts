import { expect, test, vi } from 'vitest'
import { CallTimeoutError, createPool, createRegistry, UnavailableError } from '../../src/index.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { gate, type Gate } from '../support/gate.js'
import { rig } from '../support/rig.js'

const down = new Error('down')
const notFound = Object.assign(new Error('not found'), { status: 404 })
const circuit = { minimumCalls: 4, failureRate: 0.5, consecutiveFailures: false, openFor: 1_000, rampFor: 0 } as const

test('short-circuits are counted for people and never enter the window', async () => {
  const feed = rig({ circuit })
  await feed.failing(4)
  const before = feed.dependency.health().window
  for (let i = 0; i < 50; i++) await expect(feed.call()).rejects.toBeInstanceOf(UnavailableError)
  expect(feed.dependency.health()).toMatchObject({ window: before, counts: { rejects: 50, failures: 4 } })
})

test('exactly half of the calls failing trips a failure rate of a half, and one less does not', async () => {
  for (const [failures, mode] of [
    [4, 'available'],
    [5, 'unavailable'],
  ] as const) {
    const feed = rig({ circuit: { ...circuit, minimumCalls: 10 } })
    await feed.succeed(10 - failures)
    await feed.failing(failures)
    expect(feed.dependency.health()).toMatchObject({ mode, window: { calls: 10, failures } })
  }
})

test('exactly as many slow calls as the slow rate says trip, and a call of just the slow level is slow', async () => {
  const feed = rig({ circuit: { ...circuit, slowCall: 200, slowRate: 0.75 } })
  await feed.succeed(1, 199)
  await feed.succeed(2, 200)
  expect(feed.dependency.mode).toBe('available')
  await feed.succeed(1, 200)
  expect(feed.dependency.health()).toMatchObject({ mode: 'unavailable', window: { calls: 4, slow: 3 } })
})

test('a half-open circuit admits exactly one of many callers at once', async () => {
  const feed = rig({ circuit, bulkhead: { slots: 50 } })
  await feed.failing(4)
  await feed.clock.advance(1_000)
  const calls = Array.from({ length: 10 }, () => watch(feed.call()))
  await settle()
  expect(feed.begun).toHaveLength(1)
  expect(calls.filter(({ error }) => error instanceof UnavailableError)).toHaveLength(9)
})

test('a 404 answers a trial: it proves the dependency reachable, and is no sample of a failure', async () => {
  const feed = rig({ circuit })
  await feed.failing(4)
  await feed.clock.advance(1_000)
  const trial = watch(feed.call())
  feed.begun[0]!.fail(notFound)
  await settle()
  expect(trial.error).toBe(notFound)
  expect(feed.dependency.health()).toMatchObject({ mode: 'available', window: { calls: 0 }, counts: { ignored: 1 } })
})

test('a trial cut short by its own caller gives its turn back and records nothing', async () => {
  const feed = rig({ circuit, timeout: 1_000 })
  await feed.failing(4)
  await feed.clock.advance(1_000)
  const { window } = feed.dependency.health()
  const trial = watch(feed.call({ timeout: 50 }))
  await feed.clock.advance(50)
  expect(trial.error).toBeInstanceOf(CallTimeoutError)
  expect(feed.dependency.health()).toMatchObject({ circuit: 'half-open', available: true, window })
})

test('the open time doubles with each failed recovery up to its limit, and is the first again after one that held', async () => {
  const feed = rig({ circuit: { ...circuit, openForAtMost: 4_000 } })
  await feed.failing(4)
  for (const openFor of [1_000, 2_000, 4_000, 4_000]) {
    expect(feed.dependency.health().retryAfter).toBe(openFor)
    await feed.clock.advance(openFor - 1)
    expect(feed.dependency.health().circuit).toBe('open')
    await feed.clock.advance(1)
    await feed.failing(1)
  }
  await feed.clock.advance(4_000)
  await feed.succeed()
  await feed.failing(4)
  expect(feed.dependency.health().retryAfter).toBe(1_000)
})

test('an answer and a time-out at the same instant: the answer that is there wins, one that comes after is late', async () => {
  const { clock, dependency, call, begun } = rig({ timeout: 100 })
  const [first, second] = [watch(call()), watch(call())]
  await clock.advance(99)
  begun[0]!.open('in time')
  await clock.advance(1)
  begun[1]!.open('too late')
  await settle()
  expect(first.value).toBe('in time')
  expect(second.error).toBeInstanceOf(CallTimeoutError)
  expect(dependency.health()).toMatchObject({
    window: { calls: 2, failures: 1 },
    counts: { successes: 1, timeouts: 1, failures: 1, lates: 1 },
  })
})

test('an answer in the same turn as an abort, whichever comes first, gives at most one sample', async () => {
  for (const order of ['answer, abort', 'abort, answer']) {
    const { dependency, call, begun } = rig({ timeout: 100 })
    const controller = new AbortController()
    const caller = watch(call({ signal: controller.signal }))
    if (order === 'abort, answer') controller.abort('left')
    begun[0]!.open('answer')
    if (order === 'answer, abort') controller.abort('left')
    await settle()
    expect(caller).toEqual({ state: 'rejected', error: 'left' })
    expect(dependency.health()).toMatchObject({ window: { calls: 0 }, slots: { busy: 0 }, counts: { successes: 0 } })
  }
})

test("a caller's cancel is not a time-out, also when the time is over later, and feeds no latency", async () => {
  const { clock, dependency, call } = rig({ timeout: 100, circuit })
  for (let i = 0; i < 10; i++) {
    const controller = new AbortController()
    const caller = watch(call({ signal: controller.signal }))
    await clock.advance(90)
    controller.abort('left')
    await clock.advance(100)
    expect(caller.error).toBe('left')
  }
  expect(dependency.health()).toMatchObject({ mode: 'available', window: { calls: 0 }, counts: { timeouts: 0 } })
  expect(dependency.health().latency).toBeUndefined()
})

test('late results after the opening are recorded for people: no second event, no longer open time, the real result', async () => {
  const feed = rig({ timeout: 9_000, circuit })
  const flips = vi.fn()
  feed.registry.on('flip', flips)
  const calls = [watch(feed.call()), watch(feed.call())]
  await feed.failing(4)
  await feed.clock.advance(400)
  feed.begun[0]!.open('late')
  feed.begun[1]!.fail(down)
  await settle()
  expect([calls[0]!.value, calls[1]!.error]).toEqual(['late', down])
  expect(feed.dependency.health()).toMatchObject({
    circuit: 'open',
    retryAfter: 600,
    window: { calls: 4, failures: 4 },
    counts: { successes: 1, failures: 5 },
  })
  expect(flips).toHaveBeenCalledOnce()
})

/** Calls on one pool that hold their slot until the test says otherwise. */
function pooled(slots: number) {
  const pool = createPool({ name: 'db', slots })
  const feed = createRegistry({ clock: new ManualClock() }).dependency('feed', { bulkhead: { pool } })
  const works: Gate<void>[] = []
  const call = () => {
    const work = gate()
    void feed.run(() => {
      works.push(work)
      return work.promise
    })
  }
  return { pool, works, call }
}

test('a pool made smaller while it is held and waited for hands out nothing until it is under its new size', async () => {
  const { pool, works, call } = pooled(3)
  for (let i = 0; i < 5; i++) call()
  pool.resize(1)
  expect(pool.usage()).toMatchObject({ slots: 1, busy: 3, waiters: 2 })
  for (const [ended, begun] of [3, 3, 4, 5].entries()) {
    works[ended]!.open()
    await settle()
    expect(works).toHaveLength(begun)
  }
  works[4]!.open()
  await settle()
  expect(pool.usage()).toMatchObject({ busy: 0, waiters: 0 })
})

test('a pool made larger while it is waited for serves the waiters at once, and no size of 0 is taken', async () => {
  const { pool, works, call } = pooled(1)
  for (let i = 0; i < 4; i++) call()
  await settle()
  expect(() => {
    pool.resize(0)
  }).toThrow(/slots: must be a whole number, 1 or more, got 0/)
  expect(pool.usage()).toMatchObject({ slots: 1, busy: 1, waiters: 3 })
  pool.resize(3)
  await settle()
  expect(works).toHaveLength(3)
  expect(pool.usage()).toMatchObject({ busy: 3, waiters: 1 })
})
