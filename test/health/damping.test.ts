import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Damping } from '../../src/health/damping.js'

/** Flips every `period` ms until it is suppressed, or an hour long. */
function flap(period: number, start = 0) {
  const damping = new Damping()
  let now = start
  for (let flips = 1; now < start + 3_600_000; flips++, now += period) {
    damping.flipped(now)
    const suppressedFor = damping.suppressedFor(now)
    if (suppressedFor > 0) return { damping, now, flips, suppressedFor }
  }
  return { damping, now, flips: Infinity, suppressedFor: 0 }
}

describe('flap damping', () => {
  it.each([10_000, 15_000, 20_000, 25_000, 30_000])(
    'suppresses flapping every %i ms at the fourth flip, for about 200 s',
    (period) => {
      const { flips, suppressedFor } = flap(period)
      expect(flips).toBe(4)
      expect(suppressedFor).toBeGreaterThan(190_000)
      expect(suppressedFor).toBeLessThan(230_000)
    },
  )

  it.each([90_000, 100_000, 150_000, 600_000])('never suppresses periods of %i ms', (period) => {
    expect(flap(period).flips).toBe(Infinity)
  })

  it('suppresses flapping every minute later, at the seventh flip', () => {
    expect(flap(60_000).flips).toBe(7)
  })

  it('adds 1,000 for a flip and forgets half of it in 120 s', () => {
    const damping = new Damping()
    expect(damping.penalty(5)).toBe(0)
    damping.flipped(0)
    expect(damping.penalty(0)).toBe(1_000)
    expect(damping.penalty(120_000)).toBe(500)
    damping.flipped(240_000)
    expect(damping.penalty(240_000)).toBe(1_250)
  })

  it('is suppressed at 3,000 and allowed again at 1,000', () => {
    const damping = new Damping()
    damping.flipped(0)
    damping.flipped(0)
    expect(damping.suppressedFor(0)).toBe(0)
    damping.flipped(0)
    const held = damping.suppressedFor(0)
    expect(held).toBeGreaterThan(0)
    expect(damping.penalty(held)).toBeCloseTo(1_000)
    expect(damping.suppressedFor(held - 1)).toBeCloseTo(1)
    expect(damping.suppressedFor(held)).toBe(0)
    expect(damping.suppressedFor(held + 1_000_000)).toBe(0)
  })

  it('stays allowed between the two levels until it reaches the upper one again', () => {
    const { damping, now, suppressedFor } = flap(20_000)
    const reused = now + suppressedFor
    damping.flipped(reused + 1)
    expect(damping.penalty(reused + 1)).toBeCloseTo(2_000, -1)
    expect(damping.suppressedFor(reused + 1)).toBe(0)
    damping.flipped(reused + 2)
    damping.flipped(reused + 3)
    expect(damping.suppressedFor(reused + 3)).toBeGreaterThan(190_000)
  })

  it('suppresses for 5 min at most, however many flips there were', () => {
    const damping = new Damping()
    for (let i = 0; i < 100; i++) damping.flipped(0)
    expect(damping.suppressedFor(0)).toBe(300_000)
    expect(damping.penalty(300_000)).toBeCloseTo(1_000)
  })

  it('counts the 5 min from the start of the suppression when flips go on in it', () => {
    const damping = new Damping()
    for (let now = 0; now < 299_000; now += 1_000) damping.flipped(now)
    // Four flips began it, at 3 s.
    expect(damping.suppressedFor(299_000)).toBe(4_000)
    expect(damping.suppressedFor(303_000)).toBe(0)
    // The penalty is still high: the next flip begins another.
    damping.flipped(304_000)
    expect(damping.suppressedFor(304_000)).toBeGreaterThan(250_000)
  })

  it('tells how many flips belong together and since when', () => {
    const damping = new Damping()
    expect(damping.episode(0)).toBeUndefined()
    damping.flipped(7_000)
    damping.flipped(17_000)
    damping.flipped(27_000)
    expect(damping.episode(28_000)).toEqual({ flips: 3, since: 7_000 })
    expect(damping.episode(600_000)).toBeUndefined()
    damping.flipped(600_000)
    expect(damping.episode(600_000)).toEqual({ flips: 1, since: 600_000 })
  })

  it('knows no zero of time', () => {
    const at = (start: number) => Math.round(flap(30_000, start).suppressedFor)
    expect(at(-5_000_000)).toBe(at(0))
    expect(at(1e12)).toBe(at(0))
  })

  it('agrees with a simulation of the rules in small steps', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 40 }), (gaps) => {
        const damping = new Damping()
        let [now, penalty, suppressed, began] = [0, 0, false, 0]
        for (const gap of gaps) {
          for (let second = 0; second < gap; second++) {
            now += 1_000
            penalty *= 2 ** (-1 / 120)
            // Within a hair of a level either is right.
            if (suppressed && (penalty < 999.999 || now - began >= 300_000)) suppressed = false
            if (Math.abs(penalty - 1_000) > 0.01) expect(damping.suppressedFor(now) > 0).toBe(suppressed)
          }
          damping.flipped(now)
          penalty = Math.min(5_656.854, penalty + 1_000)
          if (!suppressed && penalty >= 3_000) {
            suppressed = true
            began = now
          }
          expect(damping.penalty(now)).toBeCloseTo(penalty, 1)
        }
      }),
      { seed: Number(process.env['SEED'] ?? 20_260_101) },
    )
  })
})
