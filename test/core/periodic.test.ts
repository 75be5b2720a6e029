import { describe, expect, it } from 'vitest'
import { Background } from '../../src/core/background.js'
import { LONGEST_TIMER } from '../../src/core/clock.js'
import { Periodic } from '../../src/core/periodic.js'
import { ManualClock, settle } from '../../src/testing.js'
import { gate, type Gate } from '../support/gate.js'

/** Work whose turns last until the test says so. */
function periodic(every: number, options: { first?: number; random?: () => number } = {}) {
  const clock = new ManualClock(options.random === undefined ? {} : { random: options.random })
  const background = new Background(clock)
  const turns: Gate<void>[] = []
  const starts: number[] = []
  const made = new Periodic(
    background,
    'probe',
    every,
    () => {
      const turn = gate()
      turns.push(turn)
      starts.push(clock.now())
      return turn.promise
    },
    options.first,
  )
  const end = async (): Promise<void> => {
    turns.at(-1)!.open()
    await settle()
  }
  return { clock, background, periodic: made, turns, starts, end }
}

describe('periodic work', () => {
  it('comes first somewhere within its period, or within the time that is given', async () => {
    const usual = periodic(1_000, { random: () => 0.25 })
    await usual.clock.advance(249)
    expect(usual.starts).toEqual([])
    await usual.clock.advance(1)
    expect(usual.starts).toEqual([250])
    const soon = periodic(1_000, { random: () => 0.25, first: 100 })
    await soon.clock.advance(100)
    expect(soon.starts).toEqual([25])
  })

  it.each([
    [0, 900],
    [0.5, 1_000],
    [0.999, 1_099.8],
  ])('comes again a period after its last start, give or take a tenth (chance %d: %d ms)', async (chance, after) => {
    const { clock, starts, end } = periodic(1_000, { random: () => chance, first: 100 })
    await clock.advance(100)
    await clock.advance(300)
    await end()
    await clock.advance(2_000)
    expect(starts[1]! - starts[0]!).toBeCloseTo(after, 0)
  })

  it('never overlaps itself: a turn that lasts longer is followed by the next at once', async () => {
    const { clock, starts, end } = periodic(1_000, { first: 100 })
    await clock.advance(50)
    await clock.advance(10_000)
    expect(starts).toEqual([50])
    await end()
    await clock.advance(1)
    expect(starts).toEqual([50, 10_051])
  })

  it('goes on although its turn has to wait for a lane, in which it never stands twice', async () => {
    const { clock, background, starts, end } = periodic(1_000, { first: 100 })
    const lanes = Array.from({ length: 10 }, () => gate())
    for (const lane of lanes) void background.run('probe', () => lane.promise)
    await clock.advance(5_000)
    expect(starts).toEqual([])
    for (const lane of lanes) lane.open()
    await settle()
    expect(starts).toEqual([5_000])
    await end()
    await clock.advance(1_000)
    expect(starts).toEqual([5_000, 6_000])
  })

  it('does not keep the process alive', () => {
    const { clock } = periodic(1_000)
    expect([clock.pending(), clock.pending({ referenced: true })]).toEqual([1, 0])
  })

  it('may be months away', async () => {
    const { clock, starts } = periodic(2 * LONGEST_TIMER, { random: () => 0.9 })
    await clock.advance(1.7 * LONGEST_TIMER)
    expect(starts).toEqual([])
    await clock.advance(0.2 * LONGEST_TIMER)
    expect(starts).toHaveLength(1)
  })
})

describe('a turn that is asked for', () => {
  it('comes then, in place of the usual one, after which all is as usual', async () => {
    const { clock, periodic: it, starts, end } = periodic(1_000)
    it.again(10)
    await clock.advance(10)
    await end()
    await clock.advance(1_000)
    expect(starts).toEqual([10, 1_010])
  })

  it('while one is running comes after it, at the time that was asked for', async () => {
    const { clock, periodic: it, starts, end } = periodic(1_000, { first: 100 })
    await clock.advance(50)
    it.again(5_000)
    await clock.advance(600)
    await end()
    await clock.advance(4_399)
    expect(starts).toEqual([50])
    await clock.advance(1)
    expect(starts).toEqual([50, 5_050])
    await end()
    await clock.advance(1_000)
    expect(starts).toEqual([50, 5_050, 6_050])
  })

  it('while one is running that lasts longer than that comes right after it', async () => {
    const { clock, periodic: it, starts, end } = periodic(1_000, { first: 100 })
    await clock.advance(50)
    it.again(100)
    await clock.advance(600)
    await end()
    await clock.advance(1)
    expect(starts).toEqual([50, 651])
  })
})

describe('another period', () => {
  it('holds from the next turn on, and moves none that is awaited', async () => {
    const { clock, periodic: it, starts, end } = periodic(60_000)
    it.again(100)
    it.every = 1_000
    await clock.advance(100)
    await end()
    await clock.advance(1_000)
    expect(starts).toEqual([100, 1_100])
  })
})

describe('periodic work that is stopped', () => {
  it('has no timer and never comes again, asked for or not', async () => {
    const { clock, periodic: it, starts } = periodic(1_000)
    it.stop()
    it.again(10)
    expect(clock.pending()).toBe(0)
    await clock.advance(10_000)
    expect(starts).toEqual([])
  })

  it('while a turn is running does not come again after it', async () => {
    const { clock, periodic: it, starts, end } = periodic(1_000, { first: 100 })
    await clock.advance(50)
    it.stop()
    await end()
    await clock.advance(10_000)
    expect([starts, clock.pending()]).toEqual([[50], 0])
  })

  it('while its turn waits for a lane never begins it', async () => {
    const { clock, background, periodic: it, starts } = periodic(1_000, { first: 100 })
    const lanes = Array.from({ length: 10 }, () => gate())
    for (const lane of lanes) void background.run('probe', () => lane.promise)
    await clock.advance(50)
    it.stop()
    for (const lane of lanes) lane.open()
    await clock.advance(10_000)
    expect(starts).toEqual([])
  })
})
