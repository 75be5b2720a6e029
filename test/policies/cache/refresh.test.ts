import { describe, expect, test } from 'vitest'
import { compose } from '../../../src/core/compose.js'
import { createRegistry } from '../../../src/registry.js'
import { staleCache } from '../../../src/policies/stale-cache.js'
import { timeout } from '../../../src/policies/timeout.js'
import { ManualClock, settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { down, loads, type Loads } from '../../support/loads.js'

/** Lets the refreshes of so many ms begin, each of which ends at once. */
async function pass({ clock, runs }: Loads, ms: number, end: (run: Loads['runs'][number]) => void): Promise<void> {
  for (let left = ms; left > 0; left -= 100) {
    const before = runs.length
    await clock.advance(Math.min(100, left))
    for (const run of runs.slice(before)) end(run)
    await settle()
  }
}
const answer = (run: Loads['runs'][number]): void => run.open(`value of ${run.id}`)

describe('refresh', () => {
  test('keeps a key warm: soon for the first time, then about every so often', async () => {
    const rig = loads({ freshFor: 100_000 })
    const { clock, load, runs } = rig
    load.refresh(['a'], { every: 10_000 })
    await pass(rig, 1_000, answer)
    expect(runs).toHaveLength(1)
    expect(await load.outcome('a')).toMatchObject({ value: 'value of a', source: 'fresh' })
    await pass(rig, 30_000, answer)
    expect(runs).toHaveLength(4)
    expect((await load.outcome('a')).age).toBeLessThanOrEqual(10_000)
    expect(load.cache.counts()).toMatchObject({ refreshed: 4, written: 4 })
    expect(clock.pending({ referenced: true })).toBe(0)
  })

  test.each([
    [0, 9_000],
    [0.999999, 11_000],
  ])('with %d for chance the next comes after %i of 10,000 ms', async (chance, wait) => {
    const rig = loads({}, {}, new ManualClock({ random: () => chance }))
    rig.load.refresh(['a'], { every: 10_000 })
    while (rig.runs.length === 0) await pass(rig, 100, answer)
    const first = rig.runs[0]!.context
    expect(first.attempt).toBe(1)
    await pass(rig, wait - 200, answer)
    expect(rig.runs).toHaveLength(1)
    await pass(rig, 400, answer)
    expect(rig.runs).toHaveLength(2)
  })

  test('where there is a value already it does not hurry', async () => {
    const rig = loads()
    await rig.fill('a', 'there')
    rig.load.refresh(['a'], { every: 60_000 })
    await pass(rig, 5_000, answer)
    expect(rig.runs).toHaveLength(1)
  })

  test('never overlaps itself, and a hung one ends by its timeout', async () => {
    const { clock, load, runs } = loads()
    load.refresh(['a'], { every: 1_000, timeout: 1_000 })
    await clock.advance(1_000)
    expect(runs).toHaveLength(1)
    await clock.advance(400)
    expect(runs).toHaveLength(1)
    await clock.advance(1_000)
    expect(runs[0]!.context.signal.aborted).toBe(true)
    expect(runs.length).toBeGreaterThan(1)
    for (let i = 0; i < 50; i++) {
      await clock.advance(100)
      expect(runs.filter(({ context }) => !context.signal.aborted).length).toBeLessThanOrEqual(1)
    }
  })

  test('its timeout is the operation’s unless it has its own, which may be longer than callers have', async () => {
    const { clock, load, runs } = loads({ timeout: 200 })
    load.refresh(['a'], { every: 60_000 })
    load.refresh(['b'], { every: 60_000, timeout: 900 })
    await clock.advance(500)
    expect(runs.map(({ id }) => id)).toEqual(['a', 'b'])
    await clock.advance(300)
    expect(runs.map(({ context }) => context.signal.aborted)).toEqual([true, false])
    await clock.advance(700)
    expect(runs[1]!.context.signal.aborted).toBe(true)
  })

  test('who joins one that has more time waits no longer than for a call', async () => {
    const { clock, load, runs } = loads({ freshFor: 10, timeout: 200 })
    load.refresh(['a'], { every: 60_000, timeout: 10_000 })
    await clock.advance(500)
    expect(runs).toHaveLength(1)
    const joiner = watch(load('a'))
    await clock.advance(200)
    expect(joiner).toMatchObject({ state: 'rejected', error: { code: 'ERR_CALL_TIMEOUT' } })
    expect(runs[0]!.context.signal.aborted).toBe(false)
  })

  test('many keys share the lanes: no more than ten are refreshed at once', async () => {
    const rig = loads()
    for (let i = 0; i < 40; i++) rig.load.refresh([`${i}`], { every: 60_000 })
    await rig.clock.advance(1_000)
    expect(rig.runs).toHaveLength(10)
    while (rig.runs.length < 40) {
      for (const run of rig.runs) answer(run)
      await settle()
    }
    expect(new Set(rig.runs.map(({ id }) => id)).size).toBe(40)
  })

  test('what it brings is kept even when it is equal: the value is as young as that', async () => {
    const rig = loads({ version: () => 7 })
    rig.load.refresh(['a'], { every: 1_000 })
    await pass(rig, 20_000, (run) => run.open('same'))
    const failed = rig.load.outcome('a')
    rig.last().fail(down)
    expect(await failed).toMatchObject({ value: 'same', source: 'stale' })
    expect((await failed).age).toBeLessThanOrEqual(1_100)
    expect(rig.load.cache.counts()).toMatchObject({ olderVersion: 0, older: 0 })
  })

  test('its samples count like those of any call, unless counts is false', async () => {
    for (const counts of [true, false]) {
      const rig = loads({ counts }, { circuit: { consecutiveFailures: 3, openFor: 60_000 } })
      rig.load.refresh(['a'], { every: 1_000 })
      await pass(rig, 10_000, (run) => run.fail(down))
      expect(rig.dependency.mode).toBe(counts ? 'unavailable' : 'available')
      expect(rig.runs.length).toBe(counts ? 3 : rig.runs.length)
      expect(rig.reported).toEqual([])
    }
  })

  test('it stops while the dependency is unavailable, and is the trial when one is due', async () => {
    const rig = loads({}, { circuit: { consecutiveFailures: 1, openFor: 20_000 } })
    const { clock, dependency, load, runs } = rig
    load.refresh(['a'], { every: 1_000 })
    await pass(rig, 1_000, (run) => run.fail(down))
    expect(dependency.mode).toBe('unavailable')
    const before = runs.length
    await pass(rig, 19_000, answer)
    expect(runs).toHaveLength(before)
    await pass(rig, 3_000, answer)
    expect(runs.length).toBeGreaterThan(before)
    expect(dependency.mode).toBe('available')
    expect(dependency.health().counts.rejects).toBe(0)
    await clock.advance(0)
  })

  test('one that comes seldom looks again as soon as a trial is due', async () => {
    const rig = loads({}, { circuit: { consecutiveFailures: 1, openFor: 5_000 } })
    rig.load.refresh(['a'], { every: 600_000 })
    await rig.failing('b')
    expect(rig.dependency.mode).toBe('unavailable')
    await pass(rig, 12_000, answer)
    expect(rig.dependency.mode).toBe('available')
  })

  test('as the trial it takes the permit above the cap while work holds the slots', async () => {
    const rig = loads({}, { bulkhead: { slots: 1, queue: 0 }, circuit: { consecutiveFailures: 1, openFor: 1_000 } })
    const { clock, dependency, load, runs } = rig
    load.refresh(['a'], { every: 1_000 })
    void watch(load.with({ timeout: 3_000 })('hung'))
    await clock.advance(3_000)
    expect(dependency.mode).toBe('unavailable')
    await pass(rig, 3_000, answer)
    expect(runs.map(({ id }) => id)).toEqual(['hung', 'a'])
    expect(dependency.mode).toBe('available')
  })

  test('work that does not count is no trial', async () => {
    const rig = loads({ counts: false }, { circuit: { openFor: 1_000, consecutiveFailures: 1 } })
    const failing = rig.dependency.wrap(() => Promise.reject(down), { name: 'failing' })
    rig.load.refresh(['a'], { every: 500 })
    await expect(failing()).rejects.toBe(down)
    await pass(rig, 10_000, answer)
    expect(rig.runs).toHaveLength(0)
    expect(rig.dependency.health().counts.rejects).toBe(0)
  })

  test('it never takes the last slot, and comes again soon', async () => {
    const rig = loads({}, { bulkhead: { slots: 2 } })
    const { load, runs } = rig
    void watch(load.with({ timeout: 50_000 })('hung'))
    load.refresh(['a'], { every: 600_000 })
    await pass(rig, 2_000, answer)
    expect(runs).toHaveLength(1)
    expect(load.cache.counts()).toMatchObject({ refreshed: 0, skipped: 1 })
    runs[0]!.open('done')
    await pass(rig, 6_000, answer)
    expect(runs.map(({ id }) => id)).toEqual(['hung', 'a'])
  })

  test('of two for the same key the shorter every holds, and each stop removes its own', async () => {
    const rig = loads()
    const { load, runs } = rig
    const slow = load.refresh(['a'], { every: 60_000 })
    const fast = load.refresh(['a'], { every: 5_000 })
    await pass(rig, 60_000, answer)
    const [begun] = [runs.length]
    expect(begun).toBeGreaterThanOrEqual(11)
    expect(begun).toBeLessThanOrEqual(13)
    fast.stop()
    fast.stop()
    await pass(rig, 120_000, answer)
    expect(runs.length - begun).toBeGreaterThanOrEqual(2)
    expect(runs.length - begun).toBeLessThanOrEqual(3)
    slow.stop()
    const last = runs.length
    await pass(rig, 200_000, answer)
    expect(runs).toHaveLength(last)
  })

  test('a stop after the key was taken up anew leaves the new one alone', async () => {
    const rig = loads()
    const first = rig.load.refresh(['a'], { every: 1_000 })
    first.stop()
    rig.load.refresh(['a'], { every: 1_000 })
    first.stop()
    await pass(rig, 3_000, answer)
    expect(rig.runs.length).toBeGreaterThanOrEqual(2)
  })

  test.each(['dependency', 'registry'] as const)('close of the %s stops it, and leaves no timer', async (which) => {
    const rig = loads()
    const { clock, load, runs } = rig
    load.refresh(['a'], { every: 1_000 })
    await pass(rig, 1_000, answer)
    await rig[which].close()
    const before = runs.length
    await clock.advance(100_000)
    expect(runs).toHaveLength(before)
    expect(clock.pending()).toBe(0)
    expect(() => load.refresh(['a'], { every: 1_000 })).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
  })

  test('a drain stops it until it is released', async () => {
    const rig = loads()
    rig.load.refresh(['a'], { every: 1_000 })
    const drained = await rig.dependency.drain({ reason: 'repair' })
    await pass(rig, 10_000, answer)
    expect(rig.runs).toHaveLength(0)
    drained.release()
    await pass(rig, 3_000, answer)
    expect(rig.runs.length).toBeGreaterThan(0)
  })

  test('a value that was deleted meanwhile comes back with the next one, not with the one under way', async () => {
    const rig = loads({ live: false })
    const { clock, load, runs } = rig
    load.refresh(['a'], { every: 1_000 })
    await clock.advance(1_000)
    load.cache.delete('a')
    answer(runs[0]!)
    await settle()
    await expect(load('a')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' })
    await pass(rig, 2_000, answer)
    expect(await load('a')).toBe('value of a')
  })

  test('the arguments are those of the call, later changes to the array change nothing', async () => {
    const rig = loads()
    const args: [string] = ['a']
    rig.load.refresh(args, { every: 1_000 })
    args[0] = 'b'
    await pass(rig, 1_000, answer)
    expect(rig.last().id).toBe('a')
  })

  test('an operation composed by hand is refreshed too, and a hung one does not keep its lane', async () => {
    const clock = new ManualClock()
    let begun = 0
    const load = compose([staleCache({ key: (id: string) => id, scope: 'public' })], [], { clock, name: 'load' })((
      _,
      _id: string,
    ) => {
      begun++
      return new Promise<string>(() => undefined)
    })
    const warm = load.refresh(['a'], { every: 1_000 })
    await clock.advance(20_000)
    expect(begun).toBeGreaterThan(3)
    warm.stop()
    const bounded = compose([staleCache({ key: () => 'k', scope: 'public' })], [timeout(100)], { clock })(() => 7)
    bounded.refresh([], { every: 500 })
    await clock.advance(1_000)
    expect(bounded.cache.counts()).toMatchObject({ refreshed: 2 })
  })

  test('options are checked', () => {
    const { load, dependency } = loads({ key: (id) => (id === '' ? undefined : id) })
    const refused = (path: string, begin: () => unknown): void => {
      expect(begin).toThrow(expect.objectContaining({ code: 'ERR_OPTION', path }))
    }
    refused('refresh.every', () => load.refresh(['a'], {} as never))
    for (const every of [0, -1, NaN, Infinity, '1'])
      refused('refresh.every', () => load.refresh(['a'], { every } as never))
    refused('refresh.timeout', () => load.refresh(['a'], { every: 100, timeout: 101 }))
    refused('refresh.other', () => load.refresh(['a'], { every: 100, other: 1 } as never))
    refused('refresh.args', () => load.refresh('a' as never, { every: 100 }))
    refused('refresh.args', () => load.refresh([''], { every: 100 }))
    refused('refresh', () => dependency.wrap(() => 1).refresh([], { every: 100 }))
  })

  test('it belongs to no request, whoever began it', async () => {
    const { Scope } = await import('../../../src/request/scope.js')
    const rig = loads()
    const scope = new Scope(rig.clock, 50, 0)
    scope.class = 'pages'
    scope.run(() => rig.load.refresh(['a'], { every: 1_000 }))
    await scope.run(() => rig.clock.advance(1_000))
    scope.expire()
    expect(rig.dependency.inFlight()).toMatchObject([{ callerGone: false }])
    expect(rig.dependency.inFlight()[0]!.class).toBe(undefined)
    expect(rig.runs[0]!.context.signal.aborted).toBe(false)
  })

  test('while the dependency is disabled it goes on, straight through', async () => {
    const rig = loads({}, { bulkhead: { slots: 1 } })
    rig.registry.disable('feed', { for: 1_000_000, reason: 'test' })
    rig.load.refresh(['a'], { every: 1_000 })
    await pass(rig, 1_000, answer)
    expect(rig.load.cache.counts()).toMatchObject({ written: 1 })
  })

  test('nothing is made in the background before something is refreshed', () => {
    const clock = new ManualClock()
    const registry = createRegistry({ clock })
    registry.dependency('feed').wrap(() => 1, { key: () => 'k', scope: 'public', live: false })
    expect(clock.pending()).toBe(0)
  })
})
