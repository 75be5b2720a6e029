import { failingCalls } from '../cases/failing.js'
import { subjects, type Case } from '../harness/case.js'
import { timed } from '../harness/timed.js'

/**
 * Failing calls, since they are the ones that look at the window. opossum takes part without its latency percentiles:
 * with them, it sorts the whole window at each failure.
 */
export const window: Case = {
  name: 'window',
  title: 'Calls in the window, each new one failing and answered with a fallback',
  unit: 'ns a call',
  pointIs: 'calls in the window',
  points: [100, 1_000, 10_000, 100_000, 1_000_000],
  subjects: subjects('floor', 'cofferdam', 'opossum-no-percentiles'),
  // Filling a window takes a hundred times as long as measuring in it.
  effort: (quick) => (quick ? { rounds: 1 } : { rounds: 5 }),
  prepare: (build, points, effort) => timed(points, effort, (calls) => failingCalls(build, calls)),
}
