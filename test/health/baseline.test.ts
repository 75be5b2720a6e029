import { describe, expect, it } from 'vitest'
import { Baseline } from '../../src/health/baseline.js'

function grown(ms: number, calls = 20): Baseline {
  const baseline = new Baseline({ timesBaseline: 5, atLeast: 250 })
  for (let i = 0; i < calls; i++) baseline.healthy(ms)
  return baseline
}

describe('when a call is slow', () => {
  it('is never, before enough healthy calls have shown what is normal', () => {
    expect(grown(300, 19).level).toBe(Infinity)
    expect(grown(300, 20).level).toBeCloseTo(1_500)
  })

  it('is five times the average, but not below the least', () => {
    expect(grown(100).level).toBeCloseTo(500)
    expect(grown(10).level).toBe(250)
  })

  it('follows a dependency whose normal changes slowly', () => {
    const baseline = grown(100)
    for (let i = 0; i < 500; i++) baseline.healthy(200)
    expect(baseline.level).toBeGreaterThan(990)
  })

  it('gives way to slow trials, so that a dependency that is slower for good is taken back', () => {
    const baseline = grown(100)
    let trials = 0
    while (baseline.level <= 2_000) {
      baseline.slowTrial(2_000)
      trials++
    }
    expect(trials).toBeLessThanOrEqual(3)
  })

  it('is the level that was given, whatever happens', () => {
    const baseline = new Baseline(400)
    for (let i = 0; i < 100; i++) baseline.healthy(10)
    baseline.slowTrial(9_000)
    expect(baseline.level).toBe(400)
  })
})
