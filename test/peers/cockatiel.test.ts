import { expect, test, vi } from 'vitest'
import { QueueTimeoutError, UnavailableError } from '../../src/index.js'
import { settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import { rig } from '../support/rig.js'

const circuit = { minimumCalls: 4, failureRate: 0.5, consecutiveFailures: false, openFor: 1_000, rampFor: 0 } as const
const HOUR = 3_600_000

test('after an idle hour old failures trip nothing: the row of failures starts anew', async () => {
  const feed = rig({ circuit: { consecutiveFailures: 5 } })
  await feed.failing(4)
  await feed.clock.advance(HOUR)
  await feed.failing(4)
  expect(feed.dependency.mode).toBe('available')
  await feed.failing(1)
  expect(feed.dependency.mode).toBe('unavailable')
})

test.each([{ window: 10_000 }, { window: { calls: 100, maxAge: 60_000 } }])(
  'after an idle hour the window ($window) holds no old failure',
  async ({ window }) => {
    const feed = rig({ circuit: { ...circuit, window } })
    await feed.failing(3)
    await feed.clock.advance(HOUR)
    expect(feed.dependency.health().window.calls).toBe(0)
    await feed.failing(1)
    expect(feed.dependency.health()).toMatchObject({ mode: 'available', window: { calls: 1, failures: 1 } })
  },
)

test('while a trial runs nobody waits for it: other callers are refused at once', async () => {
  const feed = rig({ circuit })
  await feed.failing(4)
  await feed.clock.advance(1_000)
  const trial = watch(feed.call())
  const others = [feed.call(), feed.call(), feed.call()].map(watch)
  await settle()
  expect(others.map(({ error }) => error instanceof UnavailableError)).toEqual([true, true, true])
  expect(feed.dependency.health().waiters).toBe(0)
  expect(trial.state).toBe('pending')
  expect(feed.begun).toHaveLength(1)
})

test('the caller of a trial can abort it, and the next caller has the turn', async () => {
  const feed = rig({ circuit })
  await feed.failing(4)
  await feed.clock.advance(1_000)
  const controller = new AbortController()
  const trial = watch(feed.call({ signal: controller.signal }))
  controller.abort(new Error('gone'))
  await settle()
  expect(trial.error).toEqual(new Error('gone'))
  expect(feed.dependency.health()).toMatchObject({ circuit: 'half-open', available: true })
  const next = watch(feed.call())
  feed.begun[1]!.open('back')
  await settle()
  expect([next.value, feed.dependency.mode]).toEqual(['back', 'available'])
})

test('a wait for a slot has a bound, and its end is not a failure of the dependency', async () => {
  const { clock, dependency, call } = rig({ bulkhead: { slots: 1, maxWait: 200 }, circuit })
  void call()
  const waiter = watch(call())
  await clock.advance(199)
  expect(waiter.state).toBe('pending')
  await clock.advance(1)
  expect(waiter.error).toBeInstanceOf(QueueTimeoutError)
  expect(dependency.health()).toMatchObject({ waiters: 0, window: { calls: 0 }, counts: { queueTimeouts: 1 } })
})

test('an aborted waiter gives its seat in the queue back at once', async () => {
  const { dependency, call, begun } = rig({ bulkhead: { slots: 1, queue: 2 } })
  void call()
  const stays = watch(call())
  for (let i = 0; i < 100; i++) {
    const controller = new AbortController()
    const waiter = watch(call({ signal: controller.signal }))
    if (i % 2 === 0) await settle()
    expect(dependency.health().waiters).toBe(2)
    controller.abort(i)
    expect(dependency.health().waiters).toBe(1)
    await settle()
    expect(waiter).toEqual({ state: 'rejected', error: i })
  }
  const last = watch(call())
  begun[0]!.open('holder')
  await settle()
  begun[1]!.open('stays')
  await settle()
  begun[2]!.open('last')
  await settle()
  expect([stays.value, last.value]).toEqual(['stays', 'last'])
  expect(begun).toHaveLength(3)
})

test.each([0, 1, 2, 3, 4, 5, 6, 7])(
  'a waiter that was handed a slot is neither overtaken nor refused when a newcomer calls %i turns later',
  async (later) => {
    const { dependency, begun, call } = rig({ bulkhead: { slots: 1, queue: 1 } })
    const began: string[] = []
    const as = (label: string): Promise<string> =>
      dependency.run(() => {
        began.push(label)
        return label
      })
    void call()
    const waiter = watch(as('waiter'))
    await settle()
    begun[0]!.open('holder')
    for (let turn = 0; turn < later; turn++) await Promise.resolve()
    const newcomer = watch(as('newcomer'))
    await settle()
    expect(waiter.value).toBe('waiter')
    expect(began).toEqual(newcomer.state === 'resolved' ? ['waiter', 'newcomer'] : ['waiter'])
    expect(dependency.health().slots.busy).toBe(0)
  },
)

test('a newcomer does not overtake a waiter when the ceiling on slots has risen since anybody looked', async () => {
  const feed = rig({ bulkhead: { slots: 10, maxWait: 5_000 }, circuit: { ...circuit, rampFor: 10_000 } })
  await feed.failing(4)
  await feed.clock.advance(1_000)
  await feed.succeed()
  void feed.call()
  const waiting = watch(feed.call())
  await feed.clock.advance(1_300)
  expect(feed.dependency.health().waiters).toBe(1)
  const newcomer = watch(feed.call())
  await settle()
  expect(feed.begun).toHaveLength(2)
  feed.begun[1]!.open('waiter')
  await settle()
  expect(waiting.value).toBe('waiter')
  expect(newcomer.state).toBe('pending')
})

test("a caller's abort is reported as its own reason, not as a timeout, and judges nobody", async () => {
  const { clock, dependency, call } = rig({ timeout: 500, circuit, bulkhead: { slots: 1 } })
  const controllers = [new AbortController(), new AbortController()]
  const [running, waiting] = controllers.map(({ signal }) => watch(call({ signal })))
  await clock.advance(400)
  controllers[1]!.abort('waited long enough')
  controllers[0]!.abort('left')
  await clock.advance(1_000)
  expect([running?.error, waiting?.error]).toEqual(['left', 'waited long enough'])
  expect(dependency.health()).toMatchObject({
    window: { calls: 0, failures: 0 },
    counts: { timeouts: 0, failures: 0, aborts: 2 },
  })
})

test('a signal that was aborted before the call rejects with its reason, and nothing is called', async () => {
  const { dependency, call, begun } = rig()
  await expect(call({ signal: AbortSignal.abort('too late') })).rejects.toBe('too late')
  expect(begun).toHaveLength(0)
  expect(dependency.health().counts.fires).toBe(0)
})

test('a listener that throws or rejects counts as nothing, and the caller gets the answer', async () => {
  const feed = rig({ circuit })
  const reported = vi.fn()
  const broken = (): never => {
    throw new Error('listener')
  }
  feed.registry.on('error', reported)
  feed.registry.on('call', broken)
  feed.registry.on('call', () => Promise.reject(new Error('async listener')))
  feed.registry.on('error', broken)
  feed.dependency.circuit.on('success', broken)
  const call = feed.call()
  feed.begun[0]!.open('answer')
  expect(await call).toBe('answer')
  await settle()
  expect(feed.dependency.health()).toMatchObject({ window: { calls: 1, failures: 0 }, counts: { successes: 1 } })
  expect(reported).toHaveBeenCalledTimes(3)
})

test('a listener of the flip that throws does not stop the flip, nor the others who listen', async () => {
  const feed = rig({ circuit })
  const flips = vi.fn()
  feed.registry.on('flip', () => {
    throw new Error('listener')
  })
  feed.registry.on('flip', flips)
  feed.dependency.circuit.on('open', () => {
    throw new Error('listener')
  })
  await feed.failing(4)
  expect(feed.dependency.health()).toMatchObject({ mode: 'unavailable', counts: { failures: 4 } })
  expect(flips).toHaveBeenCalledOnce()
})
