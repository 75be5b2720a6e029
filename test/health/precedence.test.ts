import { expect, it } from 'vitest'
import { createRegistry, invariant, type Dependency, type Registry } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'

// Every pair of signals that can disagree, on a real registry: who wins, why, and what is left when the winner falls
// silent. The order is closed, drain, disabled, operator, parent, invariant, traffic, probe.

type Mode = 'available' | 'unavailable'

class World {
  readonly clock = new ManualClock()
  readonly registry: Registry
  readonly feed: Dependency
  probeFails = false
  holds = true
  readonly #load: (fails: boolean) => Promise<string>
  #release: (() => void) | undefined

  constructor() {
    this.registry = createRegistry({ clock: this.clock })
    this.registry.dependency('db')
    this.feed = this.registry.dependency('feed', {
      dependsOn: ['db'],
      probe: { run: () => (this.probeFails ? Promise.reject(new Error('down')) : true), every: 1_000, failures: 2 },
      invariants: [invariant('sane', () => this.holds, { every: 1_000 })],
      // Longer than any of these stories, so that nobody recovers by himself in the middle of one.
      circuit: { openFor: 600_000, openForAtMost: 600_000, window: 600_000 },
    })
    this.#load = this.feed.wrap(
      (_, fails: boolean) => (fails ? Promise.reject(new Error('down')) : Promise.resolve('ok')),
      { name: 'load' },
    )
  }

  calls(fail: boolean, times = 10): Promise<unknown> {
    return Promise.allSettled(Array.from({ length: times }, () => this.#load(fail)))
  }

  /** Whether a call reaches the operation. */
  async passes(): Promise<boolean> {
    return (await this.#load(false).catch(() => 'refused')) === 'ok'
  }

  async drain(): Promise<void> {
    const draining = this.feed.drain({ reason: 'repair' })
    await this.clock.advance(0)
    const drained = await draining
    this.#release = () => {
      drained.release()
    }
  }

  release(): void {
    this.#release!()
  }
}

interface Signal {
  mode: Mode
  /** Begins to speak. */
  speak: (world: World) => unknown
  /** Falls silent; `undefined`: never does. */
  hush?: (world: World) => unknown
  /** What the history, or health, gives as the reason while it decides. */
  reason: RegExp
}

const signals = {
  closed: {
    mode: 'unavailable',
    speak: (world) => world.feed.close(),
    reason: /^closed$/,
  },
  drain: {
    mode: 'unavailable',
    speak: (world) => world.drain(),
    hush: (world) => world.release(),
    reason: /^repair$/,
  },
  disabled: {
    mode: 'available',
    speak: (world) => world.registry.disable('feed', { reason: 'out of the way' }),
    hush: (world) => world.registry.enable('feed'),
    reason: /^out of the way$/,
  },
  'operator: available': {
    mode: 'available',
    speak: (world) => world.registry.setMode('feed', 'available', { reason: 'I have looked' }),
    hush: (world) => world.registry.clearMode('feed'),
    reason: /^I have looked$/,
  },
  'operator: unavailable': {
    mode: 'unavailable',
    speak: (world) => world.registry.setMode('feed', 'unavailable', { reason: 'upgrade' }),
    hush: (world) => world.registry.clearMode('feed'),
    reason: /^upgrade$/,
  },
  'parent: unavailable': {
    mode: 'unavailable',
    speak: (world) => world.registry.setMode('db', 'unavailable', { reason: 'upgrade' }),
    hush: (world) => world.registry.clearMode('db'),
    reason: /^db is unavailable$/,
  },
  'invariant: latched': {
    mode: 'unavailable',
    speak: async (world) => {
      world.holds = false
      await world.clock.advance(2_000)
    },
    hush: async (world) => {
      world.holds = true
      await world.registry.acknowledge('feed')
    },
    reason: /^sane: /,
  },
  'traffic: failing': {
    mode: 'unavailable',
    speak: (world) => world.calls(true),
    reason: /calls failed/,
  },
  'traffic: healthy': {
    mode: 'available',
    speak: (world) => world.calls(false, 30),
    reason: /.*/,
  },
  'probe: failing': {
    mode: 'unavailable',
    speak: async (world) => {
      world.probeFails = true
      await world.clock.advance(4_000)
    },
    reason: /probes failed in a row$/,
  },
  'probe: passing': {
    mode: 'available',
    speak: async (world) => {
      world.probeFails = false
      await world.clock.advance(4_000)
    },
    reason: /.*/,
  },
} satisfies Record<string, Signal>

type Name = keyof typeof signals

/** `then`: who decides once the winner is silent; undefined = nobody, it is available. */
interface Row {
  winner: Name
  loser: Name
  why: string
  then?: Name
  /** The winner's word makes the loser's void, or keeps it from being spoken in this order. */
  only?: 'winner first' | 'loser first'
}

const never = 'nothing reopens what the app has closed'
const exclusive = 'somebody works on it alone, and a single call would be beside live traffic'
const removed = 'the library is out of the way: whoever removed it wants every call to go through'
const person = 'a person who looked knows more than what is measured'
const without = 'without what it stands on it can’t work, whatever it says itself'
const data = 'answers may come, but wrong ones: only a person takes that back'
const real = 'what users get is the fact, a probe is an imitation of it'

const rows: Row[] = [
  ...(Object.keys(signals) as Name[])
    .slice(1)
    .map((loser): Row => ({ winner: 'closed', loser, why: never, only: 'loser first' })),

  { winner: 'drain', loser: 'disabled', why: exclusive, then: 'disabled' },
  { winner: 'drain', loser: 'operator: available', why: exclusive, then: 'operator: available' },
  {
    winner: 'drain',
    loser: 'operator: unavailable',
    why: 'the lower one asks for the same, and stays',
    then: 'operator: unavailable',
  },
  { winner: 'drain', loser: 'parent: unavailable', why: exclusive, then: 'parent: unavailable' },
  { winner: 'drain', loser: 'invariant: latched', why: exclusive, then: 'invariant: latched' },
  { winner: 'drain', loser: 'traffic: failing', why: exclusive, then: 'traffic: failing', only: 'loser first' },
  { winner: 'drain', loser: 'traffic: healthy', why: exclusive, only: 'loser first' },
  { winner: 'drain', loser: 'probe: failing', why: exclusive, then: 'probe: failing' },
  { winner: 'drain', loser: 'probe: passing', why: exclusive },

  { winner: 'disabled', loser: 'operator: unavailable', why: removed, then: 'operator: unavailable' },
  { winner: 'disabled', loser: 'operator: available', why: 'both ask for the same', then: 'operator: available' },
  { winner: 'disabled', loser: 'parent: unavailable', why: removed, then: 'parent: unavailable' },
  { winner: 'disabled', loser: 'invariant: latched', why: removed, then: 'invariant: latched' },
  { winner: 'disabled', loser: 'traffic: failing', why: removed, then: 'traffic: failing', only: 'loser first' },
  { winner: 'disabled', loser: 'probe: failing', why: removed, then: 'probe: failing' },

  { winner: 'operator: available', loser: 'parent: unavailable', why: person, then: 'parent: unavailable' },
  { winner: 'operator: available', loser: 'invariant: latched', why: person, then: 'invariant: latched' },
  { winner: 'operator: available', loser: 'traffic: failing', why: `${person}; it voids what calls said before` },
  { winner: 'operator: available', loser: 'probe: failing', why: `${person}; it voids what probes said before` },
  {
    winner: 'operator: unavailable',
    loser: 'parent: unavailable',
    why: 'both ask for the same; the one to ask is named',
    then: 'parent: unavailable',
  },
  {
    winner: 'operator: unavailable',
    loser: 'invariant: latched',
    why: 'both ask for the same',
    then: 'invariant: latched',
  },
  {
    winner: 'operator: unavailable',
    loser: 'traffic: failing',
    why: 'both ask for the same',
    then: 'traffic: failing',
    only: 'loser first',
  },
  { winner: 'operator: unavailable', loser: 'traffic: healthy', why: person, only: 'loser first' },
  { winner: 'operator: unavailable', loser: 'probe: failing', why: 'both ask for the same', then: 'probe: failing' },
  { winner: 'operator: unavailable', loser: 'probe: passing', why: person },

  {
    winner: 'parent: unavailable',
    loser: 'invariant: latched',
    why: 'the nearer to the root is named first',
    then: 'invariant: latched',
  },
  {
    winner: 'parent: unavailable',
    loser: 'traffic: failing',
    why: 'the nearer to the root is named first',
    then: 'traffic: failing',
    only: 'loser first',
  },
  { winner: 'parent: unavailable', loser: 'traffic: healthy', why: without, only: 'loser first' },
  {
    winner: 'parent: unavailable',
    loser: 'probe: failing',
    why: 'the nearer to the root is named first',
    then: 'probe: failing',
  },
  { winner: 'parent: unavailable', loser: 'probe: passing', why: without },

  {
    winner: 'invariant: latched',
    loser: 'traffic: failing',
    why: 'the circuit may close by itself, the latch may not',
    then: 'traffic: failing',
    only: 'loser first',
  },
  { winner: 'invariant: latched', loser: 'traffic: healthy', why: data, only: 'loser first' },
  {
    winner: 'invariant: latched',
    loser: 'probe: failing',
    why: 'the circuit may close by itself, the latch may not',
    then: 'probe: failing',
  },
  { winner: 'invariant: latched', loser: 'probe: passing', why: data },

  { winner: 'traffic: failing', loser: 'probe: passing', why: `${real}: a passing probe excuses nothing` },
  {
    winner: 'traffic: failing',
    loser: 'probe: failing',
    why: 'both ask for the same; it was open already',
    only: 'winner first',
  },
  {
    winner: 'traffic: healthy',
    loser: 'probe: failing',
    why: `${real}: the monitor may be what is broken`,
    only: 'winner first',
  },
]

/** One voice can't say two things at once: the later one replaces the other. */
const oneAtATime = [
  ['operator: available', 'operator: unavailable'],
  ['traffic: failing', 'traffic: healthy'],
  ['probe: failing', 'probe: passing'],
]

/** Pairs of one mind that nobody has to judge. */
const agreeing: [Name, Name][] = [
  ['disabled', 'traffic: healthy'],
  ['disabled', 'probe: passing'],
  ['operator: available', 'traffic: healthy'],
  ['operator: available', 'probe: passing'],
  ['traffic: healthy', 'probe: passing'],
]

async function judge(world: World, { winner, then }: Row): Promise<void> {
  const signal: Signal = signals[winner]
  expect(world.feed.mode).toBe(signal.mode)
  expect(world.registry.snapshot()['feed']!.available).toBe(signal.mode === 'available')
  if (winner !== 'traffic: healthy') expect(world.feed.health().reason).toMatch(signal.reason)
  expect(await world.passes()).toBe(signal.mode === 'available')
  if (signal.hush === undefined) return
  await signal.hush(world)
  await world.clock.advance(0)
  const left: Signal | undefined = then === undefined ? undefined : signals[then]
  expect(world.feed.mode).toBe(left?.mode ?? 'available')
  if (left !== undefined) expect(world.feed.health().reason).toMatch(left.reason)
  expect(await world.passes()).toBe((left?.mode ?? 'available') === 'available')
}

const both = [true, false]
const cases = rows.flatMap((row) =>
  both
    .filter((winnerFirst) => row.only === undefined || (row.only === 'winner first') === winnerFirst)
    .map((winnerFirst) => ({ ...row, first: winnerFirst ? row.winner : row.loser, row })),
)

it.each(cases)('$winner wins over $loser, when $first spoke first: $why', async ({ row, first }) => {
  const { winner, loser } = row
  const world = new World()
  await signals[first].speak(world)
  expect(world.feed.mode).toBe(signals[first].mode)
  await signals[first === winner ? loser : winner].speak(world)
  await judge(world, row)
})

it('every pair has its row', () => {
  const names = Object.keys(signals) as Name[]
  const known = [...rows.map(({ winner, loser }) => [winner, loser]), ...oneAtATime, ...agreeing]
  const missing = names.flatMap((a, i) =>
    names
      .slice(i + 1)
      .filter((b) => !known.some((pair) => pair.includes(a) && pair.includes(b)))
      .map((b) => [a, b]),
  )
  expect(missing).toEqual([])
})

it('of two words of one operator the later one counts', async () => {
  const world = new World()
  for (const name of ['operator: available', 'operator: unavailable', 'operator: available'] as const) {
    const signal: Signal = signals[name]
    await signal.speak(world)
    expect(world.feed.mode).toBe(signal.mode)
  }
})
