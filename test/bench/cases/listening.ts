import { subjects, type Case } from '../harness/case.js'
import { timed, type TimedRun } from '../harness/timed.js'
import { plain, type BuildStack } from '../stacks/stack.js'
import { answer } from '../work.js'
import { oneByOne } from './one-by-one.js'

export const listening: Case = {
  name: 'listening',
  title: 'All is well, with a listener on every event and an opossum kept in step, or with neither',
  unit: 'ns a call',
  points: [1],
  subjects: subjects('cofferdam', 'cofferdam-listeners'),
  prepare: (build, points, effort) => timed(points, effort, () => heardOf(build)),
}

/** Where there are listeners, each call must have been told to them. */
function heardOf(build: BuildStack): TimedRun {
  const { call, heard } = build({ ...plain, operation: answer })
  const run = oneByOne(call)
  return async (calls) => {
    const before = heard?.() ?? 0
    const timing = await run(calls)
    if (heard !== undefined && heard() - before !== calls) throw new Error(`not all of ${calls} calls were told`)
    return timing
  }
}
