import { subjects, type Case } from '../harness/case.js'
import { timed, type TimedRun } from '../harness/timed.js'
import { plain, type BuildStack, type Stack } from '../stacks/stack.js'
import { answer, category, fallbackReply, failure, ran } from '../work.js'

const categories = 64

export const refusedWithFallback: Case = {
  name: 'refused-fallback',
  title: 'Unavailable: refused, and a fallback served',
  unit: 'ns a call',
  points: [1],
  subjects: subjects('floor', 'cofferdam', 'opossum', 'cockatiel', 'mollitia', 'nested'),
  prepare: async (build, points, effort) => {
    const stack = await refusing(build, true)
    return timed(points, effort, () => servedOneByOne(stack))
  },
}

export const refusedWithError: Case = {
  name: 'refused-error',
  title: 'Unavailable: refused, the error thrown and caught',
  unit: 'ns a call',
  points: [1],
  subjects: subjects('floor', 'cofferdam', 'opossum', 'cockatiel', 'mollitia', 'nested'),
  prepare: async (build, points, effort) => {
    const stack = await refusing(build, false)
    return timed(points, effort, () => caughtOneByOne(stack))
  },
}

/** A stack that has answered, so that it is known to work, and then was told to refuse. */
async function refusing(build: BuildStack, fallback: boolean): Promise<Stack> {
  const stack = build({ ...plain, operation: answer, fallback })
  const reply = await stack.call('answered')
  if (reply.category !== 'answered') throw new Error('the stack does not answer')
  stack.refuse()
  return stack
}

function servedOneByOne({ call }: Stack): TimedRun {
  return async (calls) => {
    const ranBefore = ran.times
    const start = performance.now()
    for (let index = 0; index < calls; index++) {
      const reply = await call(category(index, categories))
      if (reply !== fallbackReply) throw new Error(`expected the fallback, got ${reply.category}`)
    }
    const ms = performance.now() - start
    if (ran.times !== ranBefore) throw new Error('the operation ran although its calls were refused')
    return { calls, ms }
  }
}

function caughtOneByOne({ call }: Stack): TimedRun {
  return async (calls) => {
    const ranBefore = ran.times
    let caught = 0
    const start = performance.now()
    for (let index = 0; index < calls; index++) {
      try {
        await call(category(index, categories))
      } catch (error) {
        if (error instanceof Error && error !== failure) caught++
      }
    }
    const ms = performance.now() - start
    if (caught !== calls || ran.times !== ranBefore) throw new Error(`only ${caught} of ${calls} calls were refused`)
    return { calls, ms }
  }
}
