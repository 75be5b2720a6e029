import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CallOutcome } from '../../../src/core/call.js'
import type { Refresh, Wrapped } from '../../../src/core/wrapped.js'
import type { Dependency } from '../../../src/dependency.js'
import { createRegistry, type Registry } from '../../../src/registry.js'
import { ManualClock, settle } from '../../../src/testing.js'
import { gate, type Gate } from '../../support/gate.js'

const FRESH = 100
const STALE = 400
const TIMEOUT = 150

type Step =
  | { do: 'call'; id: string; user: string; total?: number; leaves?: boolean }
  | { do: 'end'; which: number; how: 'open' | 'fail' | 'gone' }
  | { do: 'leave'; which: number }
  | { do: 'delete' | 'expire'; id: string; user: string }
  | { do: 'clear' }
  | { do: 'refresh'; id: string; user: string; every: number }
  | { do: 'stop'; which: number }
  | { do: 'switch'; mode: 'available' | 'unavailable' }
  | { do: 'pass'; ms: number }

const place = { id: fc.constantFrom('a', 'b'), user: fc.constantFrom('anna', 'anna', 'anna', 'bert') }
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('call' as const), ...place }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('call' as const), ...place, total: fc.integer({ min: 1, max: 200 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('call' as const), ...place, leaves: fc.constant(true) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      which: fc.nat(20),
      how: fc.constantFrom('open', 'open', 'open', 'fail', 'fail', 'gone'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), which: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('delete' as const, 'expire' as const), ...place }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('refresh' as const),
      ...place,
      every: fc.integer({ min: 20, max: 200 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const), which: fc.nat(20) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('switch' as const),
      mode: fc.constantFrom('available' as const, 'available' as const, 'unavailable' as const),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 180 }) }) },
)

interface Setting {
  freshFor: number
  coalesce: boolean
  max: number
  slots: number
  softTimeout: number | undefined
}

const setting: fc.Arbitrary<Setting> = fc.record({
  freshFor: fc.constantFrom(0, FRESH),
  coalesce: fc.boolean(),
  max: fc.constantFrom(1, 2, 100),
  slots: fc.constantFrom(2, 50),
  softTimeout: fc.constantFrom(undefined, 60),
})

/** One run of the operation; it is its own value, so that every answer says where it comes from. */
interface Run {
  readonly place: string
  readonly number: number
  readonly startedAt: number
  readonly work: Gate<Run>
  ended: boolean
}

/** A cached operation, and what must hold of everything that it serves. */
class World {
  readonly clock = new ManualClock()
  readonly #runs: Run[] = []
  readonly #leaving: AbortController[] = []
  readonly #warm: Refresh[] = []
  /** By place: runs with a lower number were begun before what was there was deleted. */
  readonly #boundary = new Map<string, number>()
  /** By place: the youngest run that anybody was served. */
  readonly #youngest = new Map<string, number>()
  readonly #freshFor: number
  readonly #registry: Registry
  readonly #dependency: Dependency
  readonly #load: Wrapped<[id: string, user: string], Run>
  waiting = 0
  broken: unknown

  constructor({ freshFor, coalesce, max, slots, softTimeout }: Setting) {
    this.#freshFor = freshFor
    this.#registry = createRegistry({ clock: this.clock })
    this.#dependency = this.#registry.dependency('feed', {
      timeout: TIMEOUT,
      bulkhead: { slots, queue: 0 },
      circuit: { consecutiveFailures: false, minimumCalls: 1e6, rampFor: 0 },
      stale: { max, freshFor, staleFor: STALE, ...(softTimeout === undefined ? {} : { softTimeout }) },
    })
    this.#load = this.#dependency.wrap(
      (_, id: string, user: string) => {
        const run: Run = {
          place: `${user} ${id}`,
          number: this.#runs.length,
          startedAt: this.clock.now(),
          work: gate<Run>(),
          ended: false,
        }
        this.#runs.push(run)
        return run.work.promise
      },
      { name: 'load', key: (id) => id, scope: (_, user) => user, coalesce },
    )
  }

  async do(step: Step): Promise<void> {
    switch (step.do) {
      case 'call':
        this.#call(step)
        break
      case 'end':
        this.#end(step)
        break
      case 'leave':
        this.#leaving[step.which % Math.max(1, this.#leaving.length)]?.abort(new Error('left'))
        break
      case 'delete':
        this.#load.cache.delete(step.id, step.user)
        this.#boundary.set(`${step.user} ${step.id}`, this.#runs.length)
        break
      case 'expire':
        this.#load.cache.expire(step.id, step.user)
        break
      case 'clear':
        this.#load.cache.clear()
        for (const run of this.#runs) this.#boundary.set(run.place, this.#runs.length)
        break
      case 'refresh':
        this.#warm.push(this.#load.refresh([step.id, step.user], { every: step.every }))
        break
      case 'stop':
        this.#warm[step.which % Math.max(1, this.#warm.length)]?.stop()
        break
      case 'switch':
        this.#registry.setMode('feed', step.mode, { reason: 'test' })
        break
      case 'pass':
        await this.clock.advance(step.ms)
    }
    await settle()
    if (this.broken !== undefined) throw this.broken as Error
  }

  /** Everything ends; nothing may be left over. */
  async end(): Promise<void> {
    for (const run of this.#runs) if (!run.ended) run.work.fail(new Error('the end'))
    await settle()
    expect(this.waiting).toBe(0)
    expect(this.#dependency.inFlight()).toEqual([])
    expect(this.clock.pending({ referenced: true })).toBe(0)
    for (const warm of this.#warm) warm.stop()
    const runs = this.#runs.length
    await this.clock.advance(1_000)
    expect(this.#runs).toHaveLength(runs)
  }

  #call({ id, user, total, leaves }: Extract<Step, { do: 'call' }>): void {
    const leaving = new AbortController()
    if (leaves === true) this.#leaving.push(leaving)
    const asks = this.#load.with({ ...(total === undefined ? {} : { total }), signal: leaving.signal })
    const begunAfter = this.#boundary.get(`${user} ${id}`) ?? 0
    this.waiting++
    asks.outcome(id, user).then(
      (outcome) => {
        this.waiting--
        try {
          this.#served(outcome, `${user} ${id}`, begunAfter)
        } catch (error) {
          this.broken ??= error
        }
      },
      () => this.waiting--,
    )
  }

  #end({ which, how }: Extract<Step, { do: 'end' }>): void {
    const open = this.#runs.filter(({ ended }) => !ended)
    const run = open[which % Math.max(1, open.length)]
    if (run === undefined) return
    run.ended = true
    if (how === 'open') run.work.open(run)
    else if (how === 'fail') run.work.fail(new Error('down'))
    else {
      run.work.fail(Object.assign(new Error('gone'), { status: 404 }))
      this.#boundary.set(run.place, Math.max(this.#boundary.get(run.place) ?? 0, run.number))
    }
  }

  #served({ value: run, source, stale, age }: CallOutcome<Run>, place: string, begunAfter: number): void {
    const youngest = this.#youngest.get(place) ?? 0
    this.#youngest.set(place, Math.max(youngest, run.number))
    expect(run.place, 'none across scopes and keys').toBe(place)
    if (source === 'live') {
      expect(run.number, 'nobody joins a call of before a delete').toBeGreaterThanOrEqual(begunAfter)
      return
    }
    expect(age, 'its true age').toBe(this.clock.now() - run.startedAt)
    expect(age, 'none past staleFor').toBeLessThan(STALE)
    if (source === 'fresh') expect(age, 'none past freshFor called fresh').toBeLessThan(this.#freshFor)
    if (age >= this.#freshFor) expect(stale, 'none past freshFor without saying so').toBe(true)
    expect(run.number, 'none that was deleted').toBeGreaterThanOrEqual(this.#boundary.get(place) ?? 0)
    expect(run.number, 'none older than one already served').toBeGreaterThanOrEqual(youngest)
  }
}

test('whatever the interleaving, nothing deleted, older, too old or of somebody else is ever served, and nothing is left over', async () => {
  await fc.assert(
    fc.asyncProperty(setting, fc.array(step, { maxLength: 60, size: 'max' }), async (given, steps) => {
      const world = new World(given)
      for (const one of steps) await world.do(one)
      await world.end()
    }),
    { numRuns: 500 },
  )
})
