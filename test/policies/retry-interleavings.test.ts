import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createRegistry } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'
import { watch, type Watched } from '../support/calls.js'
import { gate, type Gate } from '../support/gate.js'
import { turns } from '../support/turns.js'

// The same schedules each time; another seed explores others.
const seed = Number(process.env['SEED'] ?? 20_260_101)

const RETRIES = 2
const LONGEST = 80
const BUDGET = { ratio: 0.2, perSecond: 5 }

interface Caller {
  controller: AbortController
  result: Watched<string>
}

/** A dependency that retries, behind a rate and a small bulkhead, and all that a schedule can do to it. */
class World {
  readonly clock: ManualClock
  readonly registry
  readonly callers: Caller[] = []
  readonly works: (Gate<string> & { call: number })[] = []
  /** When each attempt was begun, and whether it was a retry. */
  readonly begun: { at: number; retry: boolean }[] = []
  readonly reported: unknown[] = []
  readonly #load
  #closing: Promise<void> | undefined

  constructor(random: () => number) {
    this.clock = new ManualClock({ random })
    this.registry = createRegistry({ clock: this.clock })
    this.registry.on('error', ({ error }) => this.reported.push(error))
    const dependency = this.registry.dependency('feed', {
      timeout: 60,
      retry: { retries: RETRIES, backoff: { base: 20, atMost: LONGEST }, budget: BUDGET },
      rate: { perSecond: 100, burst: 4, maxWait: 30 },
      bulkhead: { slots: 3, queue: 2, maxWait: 25, reclaimAfter: 300 },
      circuit: { minimumCalls: 8, consecutiveFailures: 5, openFor: 40, rampFor: 30 },
    })
    this.#load = dependency.wrap(
      ({ attempt }, call: number) => {
        expect(attempt).toBeLessThanOrEqual(RETRIES + 1)
        this.begun.push({ at: this.clock.now(), retry: attempt > 1 })
        const work = { ...gate<string>(), call }
        this.works.push(work)
        return work.promise
      },
      { name: 'load' },
    )
  }

  call(total: number | undefined): void {
    const controller = new AbortController()
    const options = { signal: controller.signal, ...(total === undefined ? {} : { total }) }
    this.callers.push({ controller, result: watch(this.#load.with(options)(this.callers.length)) })
  }

  end(which: number, ok: boolean): void {
    const [work] = this.works.splice(which % Math.max(1, this.works.length), 1)
    if (ok) work?.open('ok')
    else work?.fail(new Error('down'))
  }

  leave(which: number): void {
    this.callers[which % Math.max(1, this.callers.length)]?.controller.abort(new Error('left'))
  }

  close(): void {
    this.#closing ??= this.registry.close({ timeout: 50 })
  }

  check(): void {
    const { counts, slots } = this.registry.get('feed')!.health()
    expect(slots.busy).toBeLessThanOrEqual(3)
    expect(counts.retries).toBeGreaterThanOrEqual(this.begun.filter(({ retry }) => retry).length)
    for (const { controller, result } of this.callers)
      if (result.state !== 'pending') expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
  }

  /** A retry is granted before its back-off and begun after it, so the window of its budget begins so much sooner. */
  checkBudget(): void {
    const longest = LONGEST + 30 + 25
    for (const { at: from } of this.begun)
      for (const { at: to } of this.begun) {
        if (to < from || to - from > 10_000 - longest) continue
        const retries = this.begun.filter(({ at, retry }) => retry && at >= from && at <= to).length
        const calls = this.begun.filter(({ at, retry }) => !retry && at >= from - longest && at <= to).length
        const floor = (BUDGET.perSecond * (to - from + longest)) / 1_000
        // What those gave back who left their back-off before has been taken before.
        const given = this.callers.filter(({ controller }) => controller.signal.aborted).length
        expect(retries).toBeLessThanOrEqual(
          Math.max(BUDGET.ratio * calls, floor) + BUDGET.perSecond + given + Number.EPSILON,
        )
      }
  }

  async finish(): Promise<void> {
    this.registry.clearMode('feed')
    for (const { controller } of this.callers) controller.abort(new Error('the end'))
    await this.clock.advance(500)
    for (const work of this.works.splice(0)) work.open('ok')
    this.close()
    await this.clock.advance(5_000)
    await this.#closing
  }

  checkEnd(): void {
    expect(this.callers.filter(({ result }) => result.state === 'pending')).toEqual([])
    expect(this.reported).toEqual([])
    expect(this.registry.get('feed')!.health()).toMatchObject({ slots: { busy: 0 }, waiters: 0, inFlight: 0 })
    for (const { controller } of this.callers) expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    const { fires, rejects, successes, failures, ignored, aborts, cuts, lates } = this.registry
      .get('feed')!
      .health().counts
    expect(successes + failures + ignored + cuts).toBeLessThanOrEqual(fires - rejects)
    expect(this.begun.length).toBeLessThanOrEqual(successes + failures + ignored + cuts + aborts)
    expect(lates).toBeLessThanOrEqual(this.begun.length)
    expect(this.clock.pending()).toBe(0)
  }
}

type Step = (world: World) => unknown

const nat = fc.nat(20)
const steps = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.option(fc.constantFrom(30, 150), { nil: undefined }).map(
      (total): Step =>
        (world) =>
          world.call(total),
    ),
  },
  {
    weight: 3,
    arbitrary: nat.map(
      (which): Step =>
        (world) =>
          world.end(which, true),
    ),
  },
  {
    weight: 5,
    arbitrary: nat.map(
      (which): Step =>
        (world) =>
          world.end(which, false),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.constantFrom(0, 1, 5, 10, 20, 40, 80, 300).map(
      (ms): Step =>
        (world) =>
          world.clock.advance(ms),
    ),
  },
  {
    weight: 2,
    arbitrary: nat.map(
      (which): Step =>
        (world) =>
          world.leave(which),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 1, max: 6 }).map(
      (count): Step =>
        () =>
          turns(count),
    ),
  },
  fc.constantFrom(20, 200).map(
    (ms): Step =>
      (world) =>
        world.clock.block(ms),
  ),
  fc.constantFrom('available' as const, 'unavailable' as const).map(
    (mode): Step =>
      (world) =>
        world.registry.setMode('feed', mode, { reason: 'rehearsal', for: 50 }),
  ),
)
const chances = fc.infiniteStream(fc.integer({ min: 0, max: 99 }).map((n) => n / 100))

it('no schedule makes more attempts than are allowed, and all is given back at the end', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(steps, { minLength: 30, maxLength: 80, size: 'max' }),
      chances,
      fc.boolean(),
      async (taken, chance, closes) => {
        const world = new World(() => chance.next().value as number)
        for (const step of taken) {
          await step(world)
          world.check()
        }
        world.checkBudget()
        if (closes) {
          world.close()
          await world.clock.advance(60)
          expect(world.callers.filter(({ result }) => result.state === 'pending')).toEqual([])
          for (const work of world.works.splice(0)) work.open('ok')
          await world.clock.advance(5_000)
        } else await world.finish()
        world.checkEnd()
      },
    ),
    { seed, numRuns: 100 },
  )
})
