import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Attempt } from '../../src/core/attempt.js'
import type { Waiter } from '../../src/core/line.js'
import { Slots } from '../../src/core/slots.js'
import { createPool, createRegistry, type CallOptions, type Wrapped } from '../../src/index.js'
import { ManualClock, settle } from '../../src/testing.js'
import { watch, type Watched } from '../support/calls.js'
import { gate, type Gate } from '../support/gate.js'
import { turns } from '../support/turns.js'

// The same schedules each time; another seed explores others.
const seed = Number(process.env['SEED'] ?? 20_260_101)

const QUEUE = 3
const RECLAIM_AFTER = 400

/** One attempt that has begun, seen from its operation. */
interface Work {
  attempt: Attempt
  gate: Gate<string>
  /** A trial that took the permit kept for it instead of a slot. */
  reserved: boolean
  /** The attempt's signal, if the operation read it. */
  signal: AbortSignal | undefined
  ended: boolean
}

interface Caller {
  controller: AbortController
  result: Watched<string>
}

type How = 'hangs' | 'hangs with signal' | 'returns' | 'throws' | 'thenable' | 'aborts its caller'

/** Two dependencies, one of them with classes, in front of one small pool, and all that a schedule can do to them. */
class World {
  readonly clock: ManualClock
  readonly pool = createPool({ name: 'db', slots: 3 })
  readonly registry
  readonly works: Work[] = []
  readonly callers: Caller[] = []
  /** Slots that may be held although the pool has become smaller since they were taken. */
  surplus = 0
  ends = 0
  errors: unknown[] = []
  readonly #operations: Wrapped<[how: How, abort: () => void], string>[]

  constructor(random: () => number) {
    this.clock = new ManualClock({ random })
    this.registry = createRegistry({ clock: this.clock })
    this.registry.on('call', () => this.ends++)
    this.registry.on('error', ({ error }) => this.errors.push(error))
    const circuit = { minimumCalls: 6, consecutiveFailures: 3, openFor: 20, rampFor: 60, slowCall: 90 }
    const bulkhead = { pool: this.pool, queue: QUEUE, maxWait: 70, reclaimAfter: RECLAIM_AFTER }
    const classes = { pages: { guaranteed: 1 }, callbacks: { guaranteed: 0, atMost: 1, timeout: 40 } }
    const orders = this.registry.dependency('orders', { timeout: 100, circuit, bulkhead: { ...bulkhead, classes } })
    const comments = this.registry.dependency('comments', { timeout: 50, total: 120, circuit, bulkhead })
    const operation = (context: object, how: How, abort: () => void): string | Promise<string> =>
      this.#work(context as Attempt, how, abort)
    this.#operations = [
      orders.wrap(operation, { name: 'plain' }),
      orders.wrap(operation, { name: 'batch', counts: false }),
      comments.wrap(operation, { name: 'plain' }),
      comments.wrap(operation, { name: 'with fallback', fallback: { value: 'instead' } }),
      comments.wrap(operation, { name: 'cached', key: () => 'one', scope: 'public', coalesce: true }),
    ]
  }

  #work(attempt: Attempt, how: How, abort: () => void): string | Promise<string> {
    const { reserved } = attempt
    const work: Work = { attempt, reserved, gate: gate(), signal: undefined, ended: false }
    this.works.push(work)
    if (how === 'hangs with signal') work.signal = attempt.signal
    if (how === 'aborts its caller') abort()
    if (how === 'returns' || how === 'throws') work.ended = true
    if (how === 'throws') throw new Error('thrown at once')
    if (how === 'returns') return 'at once'
    if (how !== 'thenable') return work.gate.promise
    const thenable: PromiseLike<string> = { then: (...given) => work.gate.promise.then(...given) }
    return thenable as Promise<string>
  }

  call(operation: number, how: How, { deadlineIn, ...options }: CallOptions & { deadlineIn?: number }, late: boolean) {
    const controller = new AbortController()
    if (late) controller.abort(new Error('left before'))
    const abort = (): void => {
      controller.abort(new Error('left'))
    }
    const deadline = deadlineIn === undefined ? {} : { deadline: this.clock.wall() + deadlineIn }
    const call = this.#operations[operation]!.with({ ...options, ...deadline, signal: controller.signal })
    this.callers.push({ controller, result: watch(call(how, abort)) })
  }

  /** Ends the work that has run longest, or a later one. */
  end(which: number, ok: boolean): void {
    const running = this.works.filter(({ ended }) => !ended)
    const work = running[which % running.length]
    if (work === undefined) return
    work.ended = true
    if (ok) work.gate.open('done')
    else work.gate.fail(new Error('down'))
  }

  leave(which: number): void {
    const waiting = this.callers.filter(({ result }) => result.state === 'pending')
    waiting[which % waiting.length]?.controller.abort(new Error('left'))
  }

  abortWork(which: number): void {
    const all = ['orders', 'comments'].flatMap((name) => this.registry.get(name)!.inFlight())
    all[which % all.length]?.abort()
  }

  resize(slots: number): void {
    this.pool.resize(slots)
    this.surplus = Math.max(0, this.pool.usage().busy - slots)
  }

  read(): void {
    this.registry.snapshot()
    for (const name of ['orders', 'comments']) this.registry.get(name)!.health()
  }

  /** What must hold after every step. */
  check(): void {
    const { slots, busy, members } = this.pool.usage()
    this.surplus = Math.min(this.surplus, Math.max(0, busy - slots))
    expect(busy).toBeLessThanOrEqual(slots + this.surplus)
    const holding = this.works.filter(({ ended, reserved, attempt }) => !ended && !reserved && !attempt.reclaimed)
    expect(busy).toBe(holding.length)
    expect(busy).toBe(Object.values(members).reduce((sum, member) => sum + member.busy, 0))
    for (const { busy } of Object.values(members)) expect(busy).toBeGreaterThanOrEqual(0)
    expect(members['orders']!.waiters).toBeLessThanOrEqual(3 * QUEUE)
    expect(members['comments']!.waiters).toBeLessThanOrEqual(QUEUE)
    for (const { signal, attempt, ended } of this.works)
      if (!ended && signal !== undefined) expect(signal.aborted).toBe(attempt.phase === 'abandoned')
    for (const { controller, result } of this.callers)
      if (result.state !== 'pending') expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    expect(this.registry.get('orders')!.inFlight().length + this.registry.get('comments')!.inFlight().length).toBe(
      this.works.filter(({ ended }) => !ended).length,
    )
  }

  /** What must hold when all is over. */
  checkEnd(): void {
    expect(this.callers.filter(({ result }) => result.state === 'pending')).toEqual([])
    expect(this.ends).toBe(this.callers.length)
    expect(this.errors).toEqual([])
    expect(this.pool.usage()).toMatchObject({ busy: 0, waiters: 0, members: {} })
    for (const name of ['orders', 'comments'])
      expect(this.registry.get(name)!.health()).toMatchObject({ slots: { busy: 0 }, waiters: 0, inFlight: 0 })
    for (const { controller } of this.callers) expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
    for (const { signal } of this.works)
      if (signal !== undefined) expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    expect(this.clock.pending()).toBe(0)
  }
}

type Step = { name: string; run: (world: World) => unknown }

const step = <T>(name: string, arbitrary: fc.Arbitrary<T>, run: (world: World, given: T) => unknown) =>
  arbitrary.map((given): Step => ({
    name: `${name} ${JSON.stringify(given)}`,
    run: (world) => run(world, given),
  }))

const which = fc.nat(20)
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 })

const calls = fc.record({
  operation: fc.nat(4),
  how: fc.oneof(
    { weight: 6, arbitrary: fc.constant<How>('hangs') },
    fc.constantFrom<How>('hangs with signal', 'returns', 'throws', 'thenable', 'aborts its caller'),
  ),
  class: optional(fc.constantFrom('pages', 'callbacks', 'unknown')),
  timeout: optional(fc.constantFrom(10, 50, 200)),
  total: optional(fc.constantFrom(30, 150)),
  deadlineIn: optional(fc.constantFrom(-5, 0, 20, 110)),
  late: fc.boolean(),
  times: fc.integer({ min: 1, max: 4 }),
})

const steps = fc.oneof(
  {
    weight: 8,
    arbitrary: step('call', calls, (world, { operation, how, late, times, ...options }) => {
      const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
      for (let i = 0; i < times; i++) world.call(operation, how, given, late && times === 4)
    }),
  },
  {
    weight: 5,
    arbitrary: step('end', fc.record({ which, ok: fc.boolean() }), (world, { which, ok }) => {
      world.end(which, ok)
    }),
  },
  {
    weight: 4,
    arbitrary: step('advance', fc.constantFrom(0, 1, 9, 10, 20, 40, 50, 70, 100, 410), (world, ms) =>
      world.clock.advance(ms),
    ),
  },
  {
    weight: 2,
    arbitrary: step('turns', fc.integer({ min: 1, max: 8 }), (_, count) => turns(count)),
  },
  {
    weight: 2,
    arbitrary: step('leave', which, (world, which) => {
      world.leave(which)
    }),
  },
  step('abort work', which, (world, which) => {
    world.abortWork(which)
  }),
  step('block', fc.constantFrom(30, 120, 500), (world, ms) => {
    world.clock.block(ms)
  }),
  step('resize', fc.integer({ min: 1, max: 6 }), (world, slots) => {
    world.resize(slots)
  }),
  step('set mode', fc.constantFrom('available' as const, 'unavailable' as const), (world, mode) => {
    world.registry.setMode('orders', mode, { reason: 'rehearsal', for: 150 })
  }),
  step('clear mode', fc.constant('orders'), (world, name) => {
    world.registry.clearMode(name)
  }),
  step('read', fc.constant(''), (world) => {
    world.read()
  }),
)

/** Whether a step is followed by the next at once, or only after all that it set off has settled. */
const schedule = fc.array(fc.record({ step: steps, settled: fc.boolean() }), {
  minLength: 20,
  maxLength: 60,
  size: 'max',
})
const chances = fc.infiniteStream(fc.integer({ min: 0, max: 99 }).map((n) => n / 100))

const described = (taken: { step: Step; settled: boolean }[]): string =>
  taken.map(({ step, settled }) => step.name + (settled ? '' : ' …')).join('\n')

async function play(world: World, taken: { step: Step; settled: boolean }[]): Promise<void> {
  try {
    for (const { step, settled } of taken) {
      await step.run(world)
      if (!settled) continue
      await settle()
      world.check()
    }
    await settle()
    world.check()
  } catch (error) {
    throw new Error(described(taken), { cause: error })
  }
}

it('whatever comes in whatever order, every call is settled once, and all that it held is given back', async () => {
  await fc.assert(
    fc.asyncProperty(schedule, chances, async (taken, random) => {
      const world = new World(() => random.next().value as number)
      await play(world, taken)
      while (world.works.some(({ ended }) => !ended)) {
        world.end(0, true)
        await settle()
        world.check()
      }
      const closed = watch(world.registry.close())
      await world.clock.advance(1_000)
      expect(closed.state).toBe('resolved')
      world.checkEnd()
    }),
    { seed, numRuns: 250 },
  )
})

it('closed in the middle of anything, it answers every caller, and work that ends late or never holds nothing', async () => {
  await fc.assert(
    fc.asyncProperty(schedule, chances, fc.boolean(), async (taken, random, settled) => {
      const world = new World(() => random.next().value as number)
      await play(world, taken.slice(0, 25))
      if (settled) await settle()
      const closed = watch(world.registry.close({ timeout: 80 }))
      world.call(0, 'hangs', {}, false)
      await world.clock.advance(300)
      expect(closed.state).toBe('resolved')
      expect(world.callers.filter(({ result }) => result.state === 'pending')).toEqual([])
      expect(world.callers.at(-1)!.result.error).toMatchObject({ code: 'ERR_CLOSED' })
      expect(world.clock.pending({ referenced: true })).toBe(0)
      await world.clock.advance(RECLAIM_AFTER)
      expect(world.pool.usage()).toMatchObject({ busy: 0, waiters: 0 })
      while (world.works.some(({ ended }) => !ended)) world.end(0, false)
      await world.clock.advance(100)
      world.checkEnd()
    }),
    { seed, numRuns: 150 },
  )
})

// The slot pool by itself, one promise reaction at a time.

interface Leaf {
  slots: Slots
  held: number
  waiting: { waiter: Waiter; number: number }[]
}

class Floor {
  readonly pool = Slots.pool('db', 4)
  readonly leaves: Leaf[]
  readonly #inner: Slots
  /** Granted slots of all leaves, by the numbers of those who waited. */
  readonly granted: number[] = []
  #numbers = 0

  constructor() {
    this.#inner = this.pool.join('inner', {}, 'inner')
    const members = [
      this.#inner.join('pages', { guaranteed: 1 }, 'pages'),
      this.#inner.join('others', { guaranteed: 0, atMost: 2 }, 'others'),
      this.pool.join('one', { guaranteed: 1 }, 'one'),
      this.pool.join('two', {}, 'two'),
    ]
    this.leaves = members.map((slots) => ({ slots, held: 0, waiting: [] }))
  }

  take(leaf: Leaf): void {
    if (leaf.slots.tryTake()) {
      expect(leaf.waiting).toHaveLength(0)
      leaf.held++
      return
    }
    const number = this.#numbers++
    const waiter = leaf.slots.wait(() => {
      // Nobody of the same member goes before who came first.
      expect(leaf.waiting.shift()!.number).toBe(number)
      leaf.held++
      this.granted.push(number)
    })
    leaf.waiting.push({ waiter, number })
  }

  leave(leaf: Leaf, which: number): void {
    const place = which % leaf.waiting.length
    const [left] = leaf.waiting.splice(place, 1)
    expect(left!.waiter.leave(new Error('left'))).toBe(true)
  }

  check(): void {
    const all = this.leaves.map(({ slots }) => slots)
    for (const { slots, held, waiting } of this.leaves)
      expect([slots.busy, slots.waiters]).toEqual([held, waiting.length])
    for (const node of [this.pool, this.#inner]) {
      const members = [...node.members.values()]
      expect(node.busy).toBe(members.reduce((sum, { busy }) => sum + busy, 0))
      expect(node.unmet).toBe(members.reduce((sum, { guaranteed, busy }) => sum + Math.max(0, guaranteed - busy), 0))
      expect(members.reduce((sum, { guaranteed }) => sum + guaranteed, 0)).toBeLessThanOrEqual(node.capacity)
    }
    for (const slots of all)
      expect(slots.available()).toBeLessThanOrEqual(Math.max(0, this.pool.capacity - this.pool.busy))
  }

  /** Once everything has settled, nobody waits for a slot that he could have. */
  checkSettled(): void {
    for (const { slots, waiting } of this.leaves)
      if (waiting.length > 0) expect(slots.available()).toBeLessThanOrEqual(0)
  }
}

const leaf = fc.nat(3)
const moves = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('take' as const), leaf, times: fc.integer({ min: 1, max: 50 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('release' as const), leaf, times: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('leave' as const), leaf, times: fc.integer({ min: 1, max: 50 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('turns' as const), leaf, times: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('resize' as const), leaf, times: fc.integer({ min: 1, max: 8 }) }),
  },
)

it('slots are handed out within all shares, in order, and to nobody twice, at every step of the hand-out', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(moves, { minLength: 10, maxLength: 40, size: 'max' }), async (taken) => {
      const floor = new Floor()
      let capacity = 4
      for (const { kind, leaf, times } of taken) {
        const at = floor.leaves[leaf]!
        const { busy } = floor.pool
        if (kind === 'turns') await turns(times)
        else if (kind === 'resize') {
          if (times >= 2) floor.pool.resize((capacity = times), 'slots')
          else
            expect(() => {
              floor.pool.resize(0, 'slots')
            }).toThrow()
        } else
          for (let i = 0; i < times; i++) {
            if (kind === 'take') floor.take(at)
            else if (kind === 'release' && at.held > 0) {
              at.held--
              at.slots.release()
            } else if (kind === 'leave' && at.waiting.length > 0) floor.leave(at, i * 7)
          }
        floor.check()
        expect(floor.pool.busy).toBeLessThanOrEqual(Math.max(capacity, busy))
      }
      await settle()
      floor.check()
      floor.checkSettled()
      // Everything comes back, and everybody who stayed gets his slot; of too small a pool others are guaranteed all.
      floor.pool.resize(8, 'slots')
      for (let left = 0; left < 5_000 && floor.pool.busy > 0; left++) {
        for (const at of floor.leaves)
          if (at.held > 0) {
            at.held--
            at.slots.release()
          }
        await settle()
        floor.check()
        floor.checkSettled()
      }
      expect([floor.pool.busy, floor.pool.waiters]).toEqual([0, 0])
      expect(new Set(floor.granted).size).toBe(floor.granted.length)
    }),
    { seed, numRuns: 150 },
  )
})
