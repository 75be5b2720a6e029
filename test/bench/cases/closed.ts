import { subjects, type Case } from '../harness/case.js'
import { timed } from '../harness/timed.js'
import { plain, type BuildStack } from '../stacks/stack.js'
import { answer, answerReadingSignal, type Operation } from '../work.js'
import { oneByOne } from './one-by-one.js'

const point = 1

export const closed: Case = {
  name: 'closed',
  title: 'All is well: the full stack, the operation does not read its signal',
  unit: 'ns a call',
  points: [point],
  subjects: subjects('raw', 'floor', 'cofferdam', 'opossum', 'cockatiel', 'mollitia', 'nested'),
  prepare: (build, points, effort) => timed(points, effort, () => oneByOne(healthy(build, answer, false))),
}

export const closedWithSignal: Case = {
  name: 'closed-signal',
  title: 'All is well: the full stack, the operation reads its signal (opossum: the caller makes a controller)',
  unit: 'ns a call',
  points: [point],
  subjects: subjects('floor', 'cofferdam', 'opossum', 'cockatiel'),
  // Collecting the controllers takes most of the time; a shorter round would hold one collection or none.
  effort: () => ({ roundMs: 40 }),
  prepare: (build, points, effort) => timed(points, effort, () => oneByOne(healthy(build, answerReadingSignal, true))),
}

function healthy(build: BuildStack, operation: Operation, readsSignal: boolean): ReturnType<BuildStack>['call'] {
  return build({ ...plain, operation, readsSignal }).call
}
