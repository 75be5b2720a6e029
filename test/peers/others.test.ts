import { expect, test, vi } from 'vitest'
import { BulkheadFullError, CallTimeoutError, DeadlineError, QueueTimeoutError, type Timer } from '../../src/index.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch } from '../support/calls.js'
import type { Gate } from '../support/gate.js'
import { rig } from '../support/rig.js'

const down = new Error('down')
const notFound = Object.assign(new Error('not found'), { status: 404 })
const circuit = { minimumCalls: 4, failureRate: 0.5, consecutiveFailures: false, openFor: 1_000, rampFor: 0 } as const

/** One trial runs, and so do four calls from before the opening. */
async function trialAmongLates(options: Parameters<typeof rig>[0] = {}) {
  const feed = rig({ timeout: 9_000, circuit, ...options })
  const early = Array.from({ length: 4 }, () => watch(feed.call()))
  const lates = [...feed.begun]
  await feed.failing(4)
  await feed.clock.advance(1_000)
  const trial = watch(feed.call())
  return { ...feed, early, lates, trial, trialWork: feed.begun[4]! }
}

test.each<[string, (work: Gate<string>) => void]>([
  ['successes', (work) => work.open('late')],
  ['failures', (work) => work.fail(down)],
  ['ignored errors', (work) => work.fail(notFound)],
])(
  'late %s decide nothing while a trial runs: it alone does, and nobody else is let in (R4j, failsafe)',
  async (_, end) => {
    const { dependency, call, begun, early, lates, trial, trialWork } = await trialAmongLates()
    lates.forEach(end)
    await settle()
    expect(early.map(({ state }) => state)).not.toContain('pending')
    const others = Array.from({ length: 7 }, () => watch(call()))
    await settle()
    expect(others.map(({ state }) => state)).toEqual(Array(7).fill('rejected'))
    expect(begun).toHaveLength(5)
    expect(dependency.health().circuit).toBe('half-open')
    trialWork.open('back')
    await settle()
    expect([trial.value, dependency.health().circuit]).toEqual(['back', 'closed'])
  },
)

test('late failures after the circuit has closed are not in its new window, and open nothing', async () => {
  const { dependency, early, lates, trialWork } = await trialAmongLates()
  trialWork.open('back')
  await settle()
  for (const late of lates) late.fail(down)
  await settle()
  expect(early.map(({ error }) => error)).toEqual([down, down, down, down])
  expect(dependency.health()).toMatchObject({ mode: 'available', window: { calls: 0 } })
})

test('the late answer of a trial whose lease has ended neither closes nor opens anything', async () => {
  const feed = rig({ timeout: 100, circuit: { ...circuit, openForAtMost: 1_000 } })
  await feed.failing(4)
  for (const late of [(work: Gate<string>) => work.open('late'), (work: Gate<string>) => work.fail(down)]) {
    await feed.clock.advance(1_000)
    const trial = watch(feed.call())
    await feed.clock.advance(100)
    expect(trial.error).toBeInstanceOf(CallTimeoutError)
    const { retryAfter } = feed.dependency.health()
    late(feed.begun.at(-1)!)
    await settle()
    expect(feed.dependency.health()).toMatchObject({ circuit: 'open', retryAfter })
  }
  expect(feed.dependency.health().counts.lates).toBe(2)
})

test('trials that hang one after the other, with every slot held, do not wedge the circuit (R4j, Polly, Hystrix)', async () => {
  const { clock, dependency, call, begun } = rig({
    timeout: 100,
    bulkhead: { slots: 2, queue: 0, reclaimAfter: 3_600_000 },
    circuit: { ...circuit, minimumCalls: 2, openForAtMost: 1_000 },
  })
  for (let i = 0; i < 2; i++) void call()
  await clock.advance(100)
  for (let trial = 1; trial <= 3; trial++) {
    await clock.advance(1_000)
    void call()
    expect(begun).toHaveLength(2 + trial)
    await clock.advance(100)
    expect(dependency.health()).toMatchObject({ circuit: 'open', slots: { busy: 2 }, inFlight: 2 + trial })
  }
  await clock.advance(1_000)
  const healthy = watch(call())
  begun.at(-1)!.open('back')
  await settle()
  expect([healthy.value, dependency.mode]).toEqual(['back', 'available'])
  await expect(call()).rejects.toBeInstanceOf(BulkheadFullError)
})

test.each([{ window: 10_000 }, { window: { calls: 50, maxAge: 10_000 } }])(
  'the wall clock stepping back or forth drops no sample from the window ($window), however often it is read (R4j)',
  async ({ window }) => {
    const feed = rig({ circuit: { ...circuit, window } })
    await feed.failing(3)
    for (const step of [-5_000, 5_000, 3_600_000, -7_200_000]) {
      feed.clock.stepWall(step)
      for (let read = 0; read < 20; read++) expect(feed.dependency.health().window.failures).toBe(3)
    }
    await feed.failing(1)
    expect(feed.dependency.health()).toMatchObject({ mode: 'unavailable', retryAfter: 1_000 })
    feed.clock.stepWall(3_600_000)
    expect(feed.dependency.health()).toMatchObject({ circuit: 'open', retryAfter: 1_000 })
  },
)

test("the wall clock stepping during a call moves neither its deadline nor a cached value's age", async () => {
  const { clock, dependency, call } = rig()
  const load = dependency.wrap(() => 'value', { key: () => 'it', scope: 'public', freshFor: 1_000 })
  await load()
  const late = watch(call({ deadline: clock.wall() + 200 }))
  clock.stepWall(-3_600_000)
  await clock.advance(200)
  expect(late.error).toBeInstanceOf(DeadlineError)
  clock.stepWall(7_200_000)
  expect(await load.outcome()).toMatchObject({ source: 'fresh', age: 200 })
})

/** The end of a wait for a slot comes when the test says so, in the middle of anything. */
class RacingClock extends ManualClock {
  readonly #waits = new Map<Timer, () => void>()
  #ending = false

  override afterPoll(fire: () => void): void {
    if (this.#ending) fire()
    else super.afterPoll(fire)
  }

  override setTimer(fire: () => void, ms: number): Timer {
    const timer = super.setTimer(fire, ms)
    if (ms === 70) this.#waits.set(timer, fire)
    return timer
  }

  override clearTimer(timer: Timer): void {
    this.#waits.delete(timer)
    super.clearTimer(timer)
  }

  endWaits(): void {
    this.#ending = true
    for (const [timer, fire] of [...this.#waits]) {
      this.clearTimer(timer)
      fire()
    }
    this.#ending = false
  }
}

const RACES = Array.from({ length: 10 }, (_, later) => later)

test.each(RACES)('a wait that ends %i turns after a slot was freed loses no permit (failsafe)', async (later) => {
  const clock = new RacingClock()
  const { dependency, call, begun } = rig({ bulkhead: { slots: 1, maxWait: 70 } }, clock)
  void call()
  const waiter = watch(call())
  await settle()
  begun[0]!.open('holder')
  for (let turn = 0; turn < later; turn++) await Promise.resolve()
  clock.endWaits()
  await settle()
  if (later > 0) expect(begun).toHaveLength(2)
  if (begun.length === 2) begun[1]!.open('waiter')
  await settle()
  if (begun.length === 2) expect(waiter.value).toBe('waiter')
  else expect(waiter.error).toBeInstanceOf(QueueTimeoutError)
  expect(dependency.health()).toMatchObject({ slots: { busy: 0 }, waiters: 0, inFlight: 0 })
})

test.each(RACES)(
  'an abort %i turns after a slot was freed loses no permit, and runs no work for nobody',
  async (later) => {
    const { dependency, call, begun } = rig({ bulkhead: { slots: 1 } })
    const controller = new AbortController()
    void call()
    const waiter = watch(call({ signal: controller.signal }))
    const behind = watch(call())
    await settle()
    begun[0]!.open('holder')
    for (let turn = 0; turn < later; turn++) await Promise.resolve()
    const ran = begun.length === 2
    controller.abort('left')
    await settle()
    expect(waiter.error).toBe('left')
    if (ran) begun[1]!.open('late')
    await settle()
    expect(begun).toHaveLength(ran ? 3 : 2)
    begun.at(-1)!.open('behind')
    await settle()
    expect(behind.value).toBe('behind')
    expect(dependency.health()).toMatchObject({ slots: { busy: 0 }, waiters: 0, inFlight: 0 })
  },
)

test('an attempt that timed out, was aborted, reclaimed, and then ended gives its slot back once (concurrency-limits)', async () => {
  const { clock, registry, dependency, call, begun } = rig({
    timeout: 100,
    bulkhead: { slots: 2, queue: 0, reclaimAfter: 200 },
  })
  const leaks = vi.fn()
  registry.on('leak', leaks)
  void call()
  void call()
  await clock.advance(100)
  for (const work of dependency.inFlight()) work.abort()
  expect(dependency.health().slots.busy).toBe(2)
  await clock.advance(200)
  expect(dependency.health()).toMatchObject({ slots: { busy: 0 }, inFlight: 2, counts: { leaks: 2 } })
  begun[0]!.open('late')
  begun[1]!.fail(down)
  await settle()
  expect(dependency.health()).toMatchObject({ slots: { busy: 0 }, inFlight: 0 })
  expect(leaks).toHaveBeenCalledTimes(2)
  void call()
  void call()
  await expect(call()).rejects.toBeInstanceOf(BulkheadFullError)
})

test.each(['__proto__', 'constructor', 'toString', '999999'])(
  'a class named %s that nobody configured takes the slots that are not guaranteed, and the usual timeout (failsafe-go)',
  async (name) => {
    const { clock, dependency, call, begun } = rig({
      timeout: 100,
      bulkhead: { slots: 3, queue: 0, classes: { pages: { guaranteed: 2, timeout: 50 } } },
    })
    const first = watch(call({ class: name }))
    await expect(call({ class: name })).rejects.toBeInstanceOf(BulkheadFullError)
    expect(begun).toHaveLength(1)
    expect(dependency.health().slots.busy).toBe(1)
    await clock.advance(99)
    expect(first.state).toBe('pending')
    await clock.advance(1)
    expect(first.error).toBeInstanceOf(CallTimeoutError)
  },
)
