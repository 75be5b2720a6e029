import fc from 'fast-check'
import { expect, it } from 'vitest'
import { TIMES, type Answer, type Model } from './model/model.js'
import { World, type How } from './model/world.js'

// The same runs each time; another seed explores others.
const seed = Number(process.env['SEED'] ?? 20_260_101)
const numRuns = Number(process.env['RUNS'] ?? 100)

/** One thing that can happen, to the real registry and to the model. */
class Step implements fc.AsyncCommand<Model, World> {
  readonly #name: string
  readonly #run: (world: World, model: Model) => unknown

  constructor(name: string, run: (world: World, model: Model) => unknown) {
    this.#name = name
    this.#run = run
  }

  check(): boolean {
    return true
  }

  async run(model: Model, world: World): Promise<void> {
    await this.#run(world, model)
    await world.check()
  }

  toString(): string {
    return this.#name
  }
}

const step = <T>(name: string, given: fc.Arbitrary<T>, run: (world: World, model: Model, given: T) => unknown) =>
  given.map((value) => new Step(`${name}(${String(value)})`, (world, model) => run(world, model, value)))

/** An operator's act, which a closed registry refuses. */
const act = <T>(name: string, given: fc.Arbitrary<T>, run: (world: World, model: Model, given: T) => unknown) =>
  step(name, given, (world, model, value) => {
    if (!model.closed) return run(world, model, value)
  })

const which = fc.nat(7)
const answers = fc.constantFrom<Answer>('well', 'well', 'bad', 'hangs', 'cannot tell')
const nothing = fc.constant('')

const steps = [
  step('call', fc.constantFrom<How>('ok', 'fail', 'fail', 'hang', 'stubborn'), (world, _, how) => world.call(how)),
  step('fail until it trips', nothing, async (world) => {
    for (let i = 0; i < 3; i++) await world.call('fail')
  }),
  step('end', fc.tuple(which, fc.boolean()), (world, _, [n, ok]) => {
    world.end(n, ok)
  }),
  step('leave', which, (world, _, n) => {
    world.leave(n)
  }),
  step('advance', fc.constantFrom(10, 100, 400, 500, 1_000, 2_000, 5_000, 12_000), (world, _, ms) => world.advance(ms)),
  step('advance to the trial', nothing, async (world, model) => {
    if (model.circuit.kind === 'open') await world.advance(10 * Math.ceil((model.circuit.until - model.now) / 10))
  }),
  step('advance for long', fc.constantFrom(60_000, 310_000), (world, _, ms) => world.advance(ms)),
  step('step wall clock', fc.constantFrom(-3_600_000, 3_600_000), (world, _, ms) => {
    world.clock.stepWall(ms)
  }),
  step('probes answer', answers, (_, model, answer) => {
    model.probe = answer
  }),
  step('invariant answers', answers, (_, model, answer) => {
    model.invariant = answer
  }),
  act('set mode', fc.constantFrom('available' as const, 'unavailable' as const), ({ registry }, model, mode) => {
    model.force(mode)
    registry.setMode('feed', mode, { reason: 'rehearsal', for: TIMES.override })
  }),
  act('clear mode', nothing, ({ registry }, model) => {
    model.lift()
    registry.clearMode('feed')
  }),
  act('acknowledge', nothing, ({ registry }, model) => {
    model.acknowledge()
    void registry.acknowledge('feed')
  }),
  act('disable', nothing, ({ registry }, model) => {
    model.disable()
    registry.disable('feed', { for: TIMES.disable })
  }),
  act('enable', nothing, ({ registry }, model) => {
    model.enable()
    registry.enable('feed')
  }),
  act('drain', nothing, (world) => {
    world.drain()
  }),
  act('release', which, (world, _, n) => {
    world.release(n)
  }),
  act('parent', fc.boolean(), ({ registry }, model, down) => {
    model.setParent(down)
    if (down) registry.setMode('db', 'unavailable', { reason: 'rehearsal', for: Infinity })
    else registry.clearMode('db')
  }),
  act(
    'configure',
    fc.tuple(fc.boolean(), fc.constantFrom(TIMES.openFor, 2_002)),
    ({ registry }, model, [enforce, openFor]) => {
      model.configure(enforce, openFor)
      registry.configure('feed', { enforce, circuit: { openFor } })
    },
  ),
]
const closing = act('close', nothing, ({ feed }, model) => {
  model.close()
  void feed.close()
})

const commands = (closes: boolean) =>
  fc.commands([...steps, ...steps, ...(closes ? [closing] : [])], { maxCommands: 60, size: 'max' })

const ways = fc.record({ recover: fc.constantFrom('itself' as const, 'operator' as const), probed: fc.boolean() })

it('whatever is said by whomever in whatever order, the mode is what the rules say, and it comes back in the end', async () => {
  await fc.assert(
    fc.asyncProperty(ways, commands(false), async ({ recover, probed }, taken) => {
      const world = new World(recover, probed)
      await fc.asyncModelRun(() => ({ model: world.model, real: world }), taken)
      await world.mend()
      await world.endAll()
    }),
    { seed, numRuns },
  )
}, 120_000)

it('closed in the middle of it, it stays unavailable, tells nobody, and leaves nothing behind', async () => {
  await fc.assert(
    fc.asyncProperty(ways, commands(true), async ({ recover, probed }, taken) => {
      const world = new World(recover, probed)
      await fc.asyncModelRun(() => ({ model: world.model, real: world }), taken)
      await world.endAll()
      expect(world.feed.mode).toBe('unavailable')
    }),
    { seed, numRuns },
  )
}, 120_000)
