import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CountWindow, TimeWindow, type SampleWindow } from '../../src/health/window.js'

interface Sample {
  at: number
  failed: boolean
  slow: boolean
}

/** What a window must hold, worked out from every sample there ever was. */
function expected(samples: Sample[], now: number, oldest: number, most = Infinity) {
  const held = samples.filter(({ at }) => at > oldest && at <= now).slice(most === Infinity ? 0 : -most)
  return {
    calls: held.length,
    failures: held.filter(({ failed }) => failed).length,
    slow: held.filter(({ slow }) => slow).length,
  }
}

const samples = fc.array(
  fc.record({ after: fc.integer({ min: 0, max: 4_000 }), failed: fc.boolean(), slow: fc.boolean() }),
  { maxLength: 60 },
)

function play(window: SampleWindow, steps: { after: number; failed: boolean; slow: boolean }[]) {
  const all: Sample[] = []
  let now = 0
  for (const { after, failed, slow } of steps) {
    now += after
    window.record(now, failed, slow)
    all.push({ at: now, failed, slow })
  }
  return { all, now }
}

describe('a window of time', () => {
  it('never holds a sample older than its length, nor drops one younger than nine tenths of it', () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 0, max: 15_000 }), (steps, idle) => {
        const window = new TimeWindow(10_000)
        const { all, now } = play(window, steps)
        const { calls, failures } = window.figures(now + idle)
        const atMost = expected(all, now + idle, now + idle - 10_000)
        const atLeast = expected(all, now + idle, now + idle - 9_000)
        expect(calls).toBeLessThanOrEqual(atMost.calls)
        expect(calls).toBeGreaterThanOrEqual(atLeast.calls)
        expect(failures).toBeLessThanOrEqual(atMost.failures)
        expect(failures).toBeGreaterThanOrEqual(atLeast.failures)
      }),
    )
  })

  it('is empty after an idle hour', () => {
    const window = new TimeWindow(10_000)
    for (let i = 0; i < 100; i++) window.record(i, true, true)
    expect(window.figures(3_600_000)).toEqual({ calls: 0, failures: 0, slow: 0 })
  })

  it('holds nothing once cleared, and counts anew', () => {
    const window = new TimeWindow(10_000)
    window.record(5, true, false)
    window.clear()
    expect(window.figures(6)).toEqual({ calls: 0, failures: 0, slow: 0 })
    window.record(7, false, true)
    expect(window.figures(7)).toEqual({ calls: 1, failures: 0, slow: 1 })
  })
})

describe('a window of calls', () => {
  it('holds the last so many samples that are not too old, whatever came before', () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 0, max: 15_000 }), (steps, idle) => {
        const window = new CountWindow(10, 10_000)
        const { all, now } = play(window, steps)
        expect(window.figures(now + idle)).toEqual(expected(all.slice(-10), now + idle, now + idle - 10_000, 10))
      }),
    )
  })

  it('holds nothing once cleared, and counts anew', () => {
    const window = new CountWindow(3, 1_000)
    for (let i = 0; i < 5; i++) window.record(i, true, true)
    window.clear()
    window.record(6, true, false)
    expect(window.figures(6)).toEqual({ calls: 1, failures: 1, slow: 0 })
  })
})
