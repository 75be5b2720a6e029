import { setImmediate } from 'node:timers/promises'
import type { Effort, Meter } from './case.js'

export interface Timing {
  readonly calls: number
  readonly ms: number
}

/** Makes about as many calls as it is told to, and times them without what it had to prepare for them. */
export type TimedRun = (calls: number) => Promise<Timing>

/**
 * A meter of nanoseconds a call. Each point is first run, in growing numbers, until it is warm; that also tells how
 * many calls fill one round.
 */
export async function timed(
  points: readonly number[],
  effort: Effort,
  runAt: (point: number) => TimedRun,
): Promise<Meter> {
  const runs = new Map<number, () => Promise<Timing>>()
  for (const point of points) {
    const run = runAt(point)
    const { calls, ms } = await warmUp(run, effort.warmUpMs)
    const fillARound = Math.max(1, Math.round((effort.roundMs / ms) * calls))
    runs.set(point, () => run(fillARound))
  }
  return async (point) => {
    const timing = await runs.get(point)?.()
    if (timing === undefined) throw new Error(`nothing was prepared for the point ${point}`)
    return (timing.ms / timing.calls) * 1e6
  }
}

/** Ends when both the clock and the calls themselves have taken long enough: some runs mostly prepare. */
async function warmUp(run: TimedRun, forMs: number): Promise<Timing> {
  const begun = performance.now()
  let inCalls = 0
  for (let calls = 1; ; calls *= 4) {
    const timing = await run(calls)
    await setImmediate()
    inCalls += timing.ms
    if (performance.now() - begun >= forMs && inCalls >= forMs / 8) return timing
    if (timing.ms > forMs) calls /= 4
  }
}
