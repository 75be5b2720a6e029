import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Latency } from '../../src/health/latency.js'

const exact = (sorted: number[], share: number): number => sorted[Math.ceil(sorted.length * share) - 1]!

describe('latency', () => {
  it('is off by at most 5 % for any durations from 0.07 ms to 30 minutes', () => {
    const durations = fc.array(fc.double({ min: 0.07, max: 1_800_000, noNaN: true }), { minLength: 1, maxLength: 300 })
    fc.assert(
      fc.property(durations, (all) => {
        const latency = new Latency(10_000)
        for (const ms of all) latency.record(5, ms)
        const sorted = [...all].sort((a, b) => a - b)
        const { p50, p95, p99 } = latency.percentiles(6)!
        for (const [got, share] of [
          [p50, 0.5],
          [p95, 0.95],
          [p99, 0.99],
        ] as const) {
          const wanted = exact(sorted, share)
          expect(Math.abs(got - wanted) / wanted).toBeLessThanOrEqual(0.05)
        }
      }),
    )
  })

  it('takes durations outside its range for its ends', () => {
    const latency = new Latency(10_000)
    latency.record(0, 0)
    expect(latency.percentiles(0)!.p50).toBeLessThan(0.07)
    latency.record(1, 1e12)
    expect(latency.percentiles(1)!.p99).toBeGreaterThan(1_800_000)
  })

  it('forgets what is older than its window', () => {
    const latency = new Latency(10_000)
    latency.record(0, 5_000)
    latency.record(9_999, 10)
    expect(latency.percentiles(9_999)!.p99).toBeGreaterThan(4_000)
    expect(latency.percentiles(12_000)!.p99).toBeLessThan(11)
    expect(latency.percentiles(60_000)).toBeUndefined()
  })

  it('knows nothing before the first call', () => {
    expect(new Latency(10_000).percentiles(0)).toBeUndefined()
  })
})
