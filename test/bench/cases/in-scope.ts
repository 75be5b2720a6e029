import { AsyncLocalStorage } from 'node:async_hooks'
import { subjects, type Case } from '../harness/case.js'
import { timed, type TimedRun } from '../harness/timed.js'
import { plain, type BuildStack } from '../stacks/stack.js'
import { answer } from '../work.js'
import { oneByOne } from './one-by-one.js'

const scopes = new AsyncLocalStorage<object>()

/**
 * Each round is one request, entered before its calls are timed and left after them. The others are in the same
 * position: once a process has entered an AsyncLocalStorage, Node 20 looks after every promise, ours and theirs.
 */
export const inScope: Case = {
  name: 'in-scope',
  title: 'All is well, in the course of a request: cofferdam in its own scope, the others in an AsyncLocalStorage',
  unit: 'ns a call',
  points: [1],
  subjects: subjects('raw', 'floor', 'cofferdam', 'opossum'),
  prepare: (build, points, effort) => timed(points, effort, () => inOneRequest(build)),
}

function inOneRequest(build: BuildStack): TimedRun {
  const { call, inRequest = inStorage } = build({ ...plain, operation: answer })
  const run = oneByOne(call)
  return (calls) => inRequest(() => run(calls))
}

function inStorage<R>(work: () => Promise<R>): Promise<R> {
  return scopes.run({}, work)
}
