import { describe, expect, test } from 'vitest'
import { Throttle } from '../../../src/policies/cache/throttle.js'
import { ManualClock, settle } from '../../../src/testing.js'
import { watch } from '../../support/calls.js'
import { loads, type Loads } from '../../support/loads.js'

/** How long no call goes live after a failure that has just been, in whole ms. */
async function held({ clock, load, runs }: Loads): Promise<number> {
  const before = runs.length
  for (let waited = 0; ; waited += 100) {
    const result = watch(load('a'))
    if (runs.length > before) return waited
    await settle()
    expect(result.state).toBe('resolved')
    await clock.advance(100)
  }
}

describe('9. throttle', () => {
  test('after a failed load the next try waits 1 s, and doubles to 30 s', async () => {
    const rig = loads({ freshFor: 100, staleFor: 1e9 })
    await rig.fill('a', 1)
    await rig.clock.advance(100)
    const waits: number[] = []
    void watch(rig.load('a'))
    for (let i = 0; i < 7; i++) {
      rig.last().fail(new Error('down'))
      await settle()
      waits.push(await held(rig))
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
  })

  test.each([
    [0, 800],
    [0.5, 1_000],
    [0.999999, 1_200],
  ])('with %d for chance the first wait is %i ms', async (chance, wait) => {
    const rig = loads({ freshFor: 100, staleFor: 1e9 }, {}, new ManualClock({ random: () => chance }))
    await rig.fill('a', 1)
    await rig.clock.advance(100)
    await rig.failing('a')
    expect(await held(rig)).toBe(wait)
  })

  test('while it holds, age and stale stay true', async () => {
    const { clock, load, fill, failing } = loads({ freshFor: 100 })
    await fill('a', 1)
    await clock.advance(100)
    await failing('a')
    await clock.advance(500)
    expect(await load.outcome('a')).toEqual({ value: 1, source: 'stale', stale: true, age: 600 })
  })

  test('one key that is throttled holds back no other', async () => {
    const { clock, load, runs, fill, failing } = loads({ freshFor: 100 })
    await fill('a', 1)
    await fill('b', 2)
    await clock.advance(100)
    await failing('a')
    void watch(load('b'))
    expect(runs.at(-1)!.id).toBe('b')
  })

  test('without anything stale to serve nothing is held back', async () => {
    const { runs, failing } = loads({ freshFor: 100 })
    await failing('a')
    await failing('a')
    expect(runs).toHaveLength(2)
  })

  test('in fallback-only nothing is held back', async () => {
    const { runs, fill, failing } = loads()
    await fill('a', 1)
    await failing('a')
    await failing('a')
    expect(runs).toHaveLength(3)
  })

  test('failures of callers that shared a call, or ran side by side, are one', async () => {
    for (const coalesce of [true, false]) {
      const rig = loads({ freshFor: 100, coalesce })
      await rig.fill('a', 1)
      await rig.clock.advance(100)
      for (let i = 0; i < 3; i++) void watch(rig.load('a'))
      for (const run of rig.runs.slice(1)) run.fail(new Error('down'))
      await settle()
      expect(await held(rig)).toBe(1_000)
    }
  })

  test('a load that brings a value ends it: the next failure waits 1 s again', async () => {
    const rig = loads({ freshFor: 100 })
    const { clock, fill, failing } = rig
    await fill('a', 1)
    await clock.advance(100)
    await failing('a')
    await clock.advance(1_000)
    await failing('a')
    await clock.advance(2_000)
    await fill('a', 2)
    await clock.advance(100)
    await failing('a')
    expect(await held(rig)).toBe(1_000)
  })

  test.each([
    ['together', true],
    ['apart', false],
  ])('a load that times out has failed, also while its work never ends (callers go %s)', async (_, coalesce) => {
    const rig = loads({ freshFor: 100, timeout: 300, coalesce })
    await rig.fill('a', 1)
    await rig.clock.advance(100)
    const timedOut = watch(rig.load('a'))
    await rig.clock.advance(300)
    expect(timedOut.value).toBe(1)
    expect(await held(rig)).toBe(1_000)
  })

  test.each([
    ['together', true],
    ['apart', false],
  ])('a value that was judged failed is a failed load (callers go %s)', async (_, coalesce) => {
    const rig = loads({ freshFor: 100, coalesce }, { circuit: { isFailure: ({ value }) => value === 'bad' } })
    await rig.fill('a', 1)
    await rig.clock.advance(100)
    const judged = watch(rig.load('a'))
    rig.last().open('bad')
    await settle()
    expect(judged.value).toBe(1)
    expect(await held(rig)).toBe(1_000)
  })

  test.each([
    ['together', true],
    ['apart', false],
  ])('neither a refusal nor an impatient caller is a failed load (callers go %s)', async (_, coalesce) => {
    const { clock, registry, load, runs, fill } = loads({ freshFor: 100, coalesce })
    await fill('a', 1)
    await clock.advance(100)
    registry.setMode('feed', 'unavailable', { reason: 'test' })
    await load('a')
    registry.setMode('feed', 'available', { reason: 'test' })
    const cut = watch(load.with({ timeout: 10 })('a'))
    await clock.advance(10)
    expect(cut.value).toBe(1)
    void watch(load('a'))
    expect(runs).toHaveLength(3)
  })

  test('the trial of a half-open circuit passes it', async () => {
    const { clock, dependency, load, runs, fill, failing } = loads(
      { freshFor: 100 },
      { circuit: { consecutiveFailures: 1, openFor: 500 } },
    )
    await fill('a', 1)
    await clock.advance(100)
    await failing('a')
    expect(dependency.mode).toBe('unavailable')
    await clock.advance(499)
    await load('a')
    expect(runs).toHaveLength(2)
    await clock.advance(1)
    void watch(load('a'))
    expect(runs).toHaveLength(3)
  })

  test('it remembers a bounded number of keys and forgets the oldest first', () => {
    const clock = new ManualClock()
    const throttle = new Throttle(clock)
    for (let i = 0; i <= 1_000; i++) throttle.failed(`key ${i}`)
    expect(throttle.holds('key 0', clock.now())).toBe(false)
    expect(throttle.holds('key 1', clock.now())).toBe(true)
    expect(throttle.holds('key 1000', clock.now())).toBe(true)
  })
})
