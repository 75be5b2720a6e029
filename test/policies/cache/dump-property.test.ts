import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CacheDump } from '../../../src/core/dump.js'
import type { CallOutcome } from '../../../src/core/call.js'
import type { Wrapped } from '../../../src/core/wrapped.js'
import { createRegistry } from '../../../src/registry.js'
import { ManualClock, settle } from '../../../src/testing.js'
import { gate, type Gate } from '../../support/gate.js'

const FRESH = 100
const STALE = 400
const MONDAY = 1_767_225_600_000

type Step = { process: number } & (
  | { do: 'call' | 'delete' | 'expire'; id: string; user: string }
  | { do: 'end'; which: number; how: 'open' | 'fail' }
  | { do: 'clear' | 'dump' | 'restart' }
  | { do: 'load'; which: number }
  | { do: 'pass' | 'step'; ms: number }
)

const process = fc.nat(1)
const place = { process, id: fc.constantFrom('a', 'b', 'c'), user: fc.constantFrom('anna', 'anna', 'bert') }
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('call' as const), ...place }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      process,
      which: fc.nat(20),
      how: fc.constantFrom('open' as const, 'open' as const, 'fail' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('delete' as const, 'expire' as const), ...place }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), process }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('dump' as const), process }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('load' as const), process, which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), process }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('pass' as const), process, ms: fc.integer({ min: 1, max: 180 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('step' as const), process, ms: fc.integer({ min: -300, max: 300 }) }),
  },
)

const setting = fc.record({
  freshFor: fc.constantFrom(0, FRESH),
  max: fc.constantFrom(1, 2, 100),
  // Of two processes whose clocks disagree it can't be told whose value is newer.
  alone: fc.boolean(),
})

/** One run of the operation, as its value, which a dump can carry. */
interface Run {
  readonly place: string
  readonly number: number
  /** In the time of the world. */
  readonly startedAt: number
  readonly by: number
}

interface Kept {
  readonly by: number
  readonly dump: CacheDump
  readonly boundary: ReadonlyMap<string, number>
}

class World {
  now = 0
  runs = 0
  #started = 0
  readonly alone: boolean
  readonly #setting: { freshFor: number; max: number }
  readonly #dumps: Kept[] = []
  readonly #processes: Process[]

  constructor({ alone, ...given }: { freshFor: number; max: number; alone: boolean }) {
    this.alone = alone
    this.#setting = given
    this.#processes = [this.#start(), this.#start()]
  }

  async do(step: Step): Promise<void> {
    const index = this.alone ? 0 : step.process
    const one = this.#processes[index]!
    if (step.do === 'pass') {
      this.now += step.ms
      for (const each of this.#processes) await each.clock.advance(step.ms)
    } else if (step.do === 'dump') this.#dumps.push(one.dump())
    else if (step.do === 'load') {
      const kept = this.#dumps[step.which % Math.max(1, this.#dumps.length)]
      if (kept !== undefined) one.take(kept)
    } else if (step.do === 'restart') {
      if (!this.alone) this.#processes[index] = this.#start()
    } else if (step.do === 'step') {
      if (this.alone) one.clock.stepWall(step.ms)
    } else one.do(step)
    await settle()
    for (const each of this.#processes) if (each.broken !== undefined) throw each.broken as Error
  }

  #start(): Process {
    return new Process(this, ++this.#started, this.#setting)
  }
}

class Process {
  readonly clock: ManualClock
  broken: unknown
  readonly #world: World
  readonly #id: number
  readonly #freshFor: number
  readonly #load: Wrapped<[id: string, user: string], Run>
  #open: { run: Run; work: Gate<Run> }[] = []
  /** By place: runs with a lower number were begun before it was deleted here. */
  readonly #boundary = new Map<string, number>()
  /** The same of other processes, for runs of theirs, as far as a dump has told. */
  readonly #told = new Map<number, Map<string, number>>()
  /** By place: the latest start of what anybody was served. */
  readonly #youngest = new Map<string, number>()

  constructor(world: World, id: number, { freshFor, max }: { freshFor: number; max: number }) {
    this.#world = world
    this.#id = id
    this.#freshFor = freshFor
    this.clock = new ManualClock({ wall: MONDAY + world.now })
    this.#load = createRegistry({ clock: this.clock })
      .dependency('feed', {
        timeout: 10_000,
        circuit: { consecutiveFailures: false, minimumCalls: 1e6 },
        stale: { max, freshFor, staleFor: STALE },
      })
      .wrap(
        (_, key: string, user: string) => {
          const run = { place: `${user} ${key}`, number: world.runs++, startedAt: world.now, by: id }
          const work = gate<Run>()
          this.#open.push({ run, work })
          return work.promise
        },
        { name: 'load', key: (key) => key, scope: (_, user) => user },
      )
  }

  dump(): Kept {
    const dump = JSON.parse(JSON.stringify(this.#load.cache.dump({ private: true }))) as CacheDump
    return { by: this.#id, dump, boundary: new Map(this.#boundary) }
  }

  take({ by, dump, boundary }: Kept): void {
    this.#load.cache.load(dump)
    const told = this.#told.get(by) ?? new Map<string, number>()
    for (const [place, number] of boundary) told.set(place, Math.max(told.get(place) ?? 0, number))
    this.#told.set(by, told)
  }

  do(step: Step): void {
    if (step.do === 'call') this.#call(step.id, step.user)
    else if (step.do === 'end') {
      const [ended] = this.#open.splice(step.which % Math.max(1, this.#open.length), 1)
      if (step.how === 'open') ended?.work.open(ended.run)
      else ended?.work.fail(new Error('down'))
    } else if (step.do === 'delete') {
      this.#load.cache.delete(step.id, step.user)
      this.#boundary.set(`${step.user} ${step.id}`, this.#world.runs)
    } else if (step.do === 'expire') this.#load.cache.expire(step.id, step.user)
    else if (step.do === 'clear') {
      this.#load.cache.clear()
      for (const user of ['anna', 'bert'])
        for (const id of ['a', 'b', 'c']) this.#boundary.set(`${user} ${id}`, this.#world.runs)
    }
  }

  #call(id: string, user: string): void {
    this.#load.outcome(id, user).then(
      (outcome) => {
        try {
          this.#served(outcome, `${user} ${id}`)
        } catch (error) {
          this.broken ??= error
        }
      },
      () => undefined,
    )
  }

  #served({ value: run, source, stale, age }: CallOutcome<Run>, place: string): void {
    const youngest = this.#youngest.get(place) ?? 0
    this.#youngest.set(place, Math.max(youngest, run.startedAt))
    expect(run.place, 'none across scopes and keys').toBe(place)
    if (source === 'live') return
    const { now, alone } = this.#world
    expect(age, 'never younger than it is').toBeGreaterThanOrEqual(now - run.startedAt)
    if (!alone) expect(age, 'nor older').toBe(now - run.startedAt)
    expect(age, 'none past staleFor').toBeLessThan(STALE)
    if (source === 'fresh') expect(age, 'none past freshFor called fresh').toBeLessThan(this.#freshFor)
    if (age >= this.#freshFor) expect(stale, 'none past freshFor without saying so').toBe(true)
    expect(run.number, 'none that was deleted here').toBeGreaterThanOrEqual(this.#boundary.get(place) ?? 0)
    if (run.by !== this.#id)
      expect(run.number, 'none that was deleted where it came from').toBeGreaterThanOrEqual(
        this.#told.get(run.by)?.get(place) ?? 0,
      )
    expect(run.startedAt, 'none older than one already served').toBeGreaterThanOrEqual(youngest)
  }
}

test('whatever the interleaving of calls, deletes, dumps, loads, restarts and steps of wall time, nothing deleted, older, too old or of somebody else is served', async () => {
  await fc.assert(
    fc.asyncProperty(setting, fc.array(step, { maxLength: 80, size: 'max' }), async (given, steps) => {
      const world = new World(given)
      for (const one of steps) await world.do(one)
    }),
    { numRuns: 500 },
  )
})
