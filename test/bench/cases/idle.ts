import { createHook } from 'node:async_hooks'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { subjects, type Case } from '../harness/case.js'
import { plain, type BuildStack, type Stack } from '../stacks/stack.js'
import { answer } from '../work.js'

const many = 10_000
const timeout = 50
const neverCalled = 0
const calledOnce = 1

const shared: Pick<Case, 'pointIs' | 'points' | 'subjects' | 'effort'> = {
  pointIs: 'calls made before falling idle',
  points: [neverCalled, calledOnce],
  subjects: subjects('cofferdam', 'opossum', 'cockatiel', 'mollitia'),
  effort: (quick) => ({ rounds: 1, launches: 1, amount: quick ? many / 10 : many }),
}

export const idleMemory: Case = {
  ...shared,
  name: 'idle-memory',
  title: 'Memory of an idle dependency: heap and typed arrays after a collection, over 10,000 of them (quick: 1,000)',
  unit: 'bytes each',
  prepare: async (build, _points, { amount = many }) => {
    const calls = [callOf(build, 'first')]
    await fallIdle(calls)
    const before = usedMemory()
    return async (point) => {
      await reach(point, build, calls, amount)
      return (usedMemory() - before) / amount
    }
  },
}

/**
 * `process.getActiveResourcesInfo()` lists only timers that keep the process alive; what is counted here is every
 * timer that was made and neither fired nor was cleared. The hook is not cheap, hence apart from the memory.
 */
export const idleTimers: Case = {
  ...shared,
  name: 'idle-timers',
  title: 'Active timers of 10,000 idle dependencies (quick: 1,000)',
  unit: 'timers',
  prepare: (build, _points, { amount = many }) => {
    const active = new Set<number>()
    createHook({
      init: (id, type) => {
        if (type === 'Timeout') active.add(id)
      },
      destroy: (id) => {
        active.delete(id)
      },
    }).enable()
    const calls: Stack['call'][] = []
    return Promise.resolve(async (point) => {
      await reach(point, build, calls, amount)
      // What has fired counts as destroyed a turn later; the wait that just ended, for one.
      for (let turn = 0; turn < 3; turn++) await setImmediate()
      return active.size
    })
  },
}

/** The points come in their order, each built upon the one before. */
async function reach(point: number, build: BuildStack, calls: Stack['call'][], amount: number): Promise<void> {
  if (point === neverCalled) {
    for (let index = 0; index < amount; index++) calls.push(callOf(build, `feed-${index}`))
  }
  await fallIdle(point === calledOnce ? calls : [])
}

async function fallIdle(calls: readonly Stack['call'][]): Promise<void> {
  for (const call of calls) {
    const reply = await call('once')
    if (reply.category !== 'once') throw new Error('the stack does not answer')
  }
  await setTimeout(5 * timeout)
}

/** What an app would hold on to: the rest of a stack is the bench's. */
function callOf(build: BuildStack, name: string): Stack['call'] {
  return build({ ...plain, name, timeout, operation: answer }).call
}

/** With what lies outside the heap: the contents of typed arrays. */
function usedMemory(): number {
  for (let times = 0; times < 2; times++) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
