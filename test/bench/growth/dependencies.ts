import { oneByOne } from '../cases/one-by-one.js'
import { subjects, type Case } from '../harness/case.js'
import { timed, type TimedRun } from '../harness/timed.js'
import { plain, type BuildStack } from '../stacks/stack.js'
import { answer } from '../work.js'

/** A prime, so that each dependency has its turn, and not beside the one before it in memory. */
const stride = 7_919

/** How often each is called before anything is measured. */
const TIMES = 2

/** One call after another, each to another dependency of the process. */
export const dependencies: Case = {
  name: 'dependencies',
  title: 'Dependencies in the process, called in turn',
  unit: 'ns a call',
  pointIs: 'dependencies',
  points: [1, 10, 100, 1_000, 10_000],
  subjects: subjects('floor', 'cofferdam', 'opossum'),
  prepare: (build, points, effort) => timed(points, effort, (among) => inTurn(build, among)),
}

/**
 * Each has been called before it is measured: a first call makes what a dependency that nobody calls does without.
 * All ask for one category, or their caches would be filled meanwhile.
 */
function inTurn(build: BuildStack, among: number): TimedRun {
  const calls = Array.from(
    { length: among },
    (_, index) => build({ ...plain, name: `feed-${among}-${index}`, operation: answer }).call,
  )
  let turn = 0
  const run = oneByOne((category) => {
    turn = (turn + stride) % among
    return calls[turn]!(category)
  }, 1)
  const begun = run(among * TIMES)
  return async (count) => {
    await begun
    return run(count)
  }
}
