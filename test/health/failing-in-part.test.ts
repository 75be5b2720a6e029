import { describe, expect, it } from 'vitest'
import type { DependencyOptions, RegistryEvents } from '../../src/index.js'
import { rig } from '../support/rig.js'

const MINUTE = 60_000

/** What a second brings: 80 good calls and 20 bad ones. */
const orders: [string, boolean[]][] = [
  ['spread evenly', Array.from({ length: 100 }, (_, i) => i % 5 !== 4)],
  // Twenty failures in a row: the row trips only while there are too few calls for a rate.
  ['all at the end of each second', Array.from({ length: 100 }, (_, i) => i < 80)],
]

/** One of five calls fails, and the probe, which tries twice, sees nothing. */
function partly(options: DependencyOptions = {}) {
  let asked = 0
  const attempt = (): boolean => asked++ % 2 === 1
  const run = (): void => {
    if (!attempt() && !attempt()) throw new Error('down')
  }
  const feed = rig({ probe: { run, every: 5_000 }, timeout: 1_000, ...options })
  const events: [at: number, name: string, detail: unknown][] = []
  const hear = (name: keyof RegistryEvents, pick: string): void => {
    feed.registry.on(name, (event) => events.push([feed.clock.now(), name, event[pick as keyof typeof event]]))
  }
  hear('warning', 'raised')
  hear('flip', 'mode')
  hear('disagreement', 'probes')
  hear('flapping', 'flips')
  hear('error', 'error')
  const second = async (outcomes: boolean[]): Promise<void> => {
    for (const good of outcomes) {
      if (good) await feed.succeed()
      else await feed.failing()
      await feed.clock.advance(1_000 / outcomes.length)
    }
  }
  return { ...feed, events, second, asked: () => asked }
}

describe.each(orders)(
  'with 80 successes and 20 failures a second, %s, and a probe that passes on its retry',
  (_, outcomes) => {
    it('it is warned of once within one window, flips nothing in ten minutes, and is over once, after the dwell', async () => {
      const feed = partly()
      const { events, clock, dependency } = feed
      for (let i = 0; i < 10; i++) await feed.second(outcomes)
      expect(events).toEqual([[expect.any(Number), 'warning', true]])
      expect(events[0]![0]).toBeLessThanOrEqual(10_000)
      expect(dependency.health()).toMatchObject({
        mode: 'available',
        circuit: 'closed',
        warnings: [{ warning: 'failures', text: expect.stringMatching(/^\d+ of \d+ calls failed/) as string }],
      })
      while (clock.now() < 10 * MINUTE) await feed.second(outcomes)
      expect(events).toHaveLength(1)
      expect(dependency.health().counts).toMatchObject({ rejects: 0, failures: 20 * 600 })
      expect(feed.asked()).toBeGreaterThan(200)

      const ended = clock.now()
      const good = outcomes.map(() => true)
      for (let i = 0; i < 60; i++) await feed.second(good)
      expect(events.slice(1)).toEqual([[expect.any(Number), 'warning', false]])
      // The rate is below half of the level once half of the window has gone, and must stay there for a window's length.
      expect(events[1]![0]).toBeGreaterThan(ended + 10_000)
      expect(events[1]![0]).toBeLessThanOrEqual(ended + 25_000)
      expect(dependency.health().warnings).toEqual([])
    })
  },
  60_000,
)

describe('the warning of failures', () => {
  it('is not given for fewer calls than the rule looks at', async () => {
    const feed = partly()
    for (let i = 0; i < 10; i++) {
      await feed.succeed(1)
      await feed.failing(i < 5 ? 1 : 0)
    }
    expect(feed.events).toEqual([])
    await feed.succeed(4)
    await feed.failing(1)
    expect(feed.events).toEqual([[0, 'warning', true]])
  })

  it('goes on while the rate is between its two levels', async () => {
    const feed = partly()
    const some = (bad: number): boolean[] => Array.from({ length: 100 }, (_, i) => i < 100 - bad)
    await feed.second(some(12))
    for (let i = 0; i < 120; i++) await feed.second(some(7))
    expect(feed.events).toHaveLength(1)
    for (let i = 0; i < 40; i++) await feed.second(some(4))
    expect(feed.events).toHaveLength(2)
  })

  it('is not over for a quiet moment shorter than the dwell', async () => {
    const feed = partly()
    const failing = [false, false, true, true, true, true, true, true, true, true]
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j < 4; j++) await feed.second(failing)
      for (let j = 0; j < 8; j++) await feed.second(failing.map(() => true))
    }
    expect(feed.events).toHaveLength(1)
  })

  it('is over when nobody calls any more, and leaves no timer', async () => {
    const feed = rig({ timeout: 1_000 })
    await feed.succeed(20)
    await feed.failing(4)
    expect(feed.dependency.health().warnings).toHaveLength(1)
    await feed.clock.advance(MINUTE)
    expect(feed.dependency.health().warnings).toEqual([])
    expect(feed.clock.pending()).toBe(0)
  })

  it('is given where an operator keeps it available against what calls say', async () => {
    const feed = partly()
    feed.registry.setMode('feed', 'available', { reason: 'needed for the sale' })
    await feed.failing(30)
    expect(feed.events).toEqual([[0, 'warning', true]])
    expect(feed.dependency.mode).toBe('available')
  })

  it('is none with a level of 1', async () => {
    const feed = partly({ circuit: { warnRate: 1, consecutiveFailures: false } })
    feed.registry.setMode('feed', 'available', { reason: 'needed for the sale' })
    await feed.failing(30)
    expect(feed.events).toEqual([])
  })

  it('follows the level that is configured', async () => {
    const feed = partly({ circuit: { warnRate: 0.3 } })
    await feed.second(Array.from({ length: 100 }, (_, i) => i % 5 !== 4))
    expect(feed.events).toEqual([])
    feed.registry.configure('feed', { circuit: { warnRate: 0.1 } })
    await feed.failing(1)
    expect(feed.events).toHaveLength(1)
    feed.registry.configure('feed', { circuit: { warnRate: 0.45 } })
    await feed.clock.advance(13_000)
    expect(feed.events).toHaveLength(2)
  })

  it('ends with the registry, which leaves no timer', async () => {
    const feed = partly()
    await feed.succeed(20)
    await feed.failing(4)
    await feed.registry.close()
    await feed.clock.advance(50)
    expect(feed.clock.pending()).toBe(0)
  })
})
