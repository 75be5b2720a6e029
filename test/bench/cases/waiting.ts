import { subjects, type Case } from '../harness/case.js'
import { timed, type TimedRun } from '../harness/timed.js'
import { plain, type BuildStack } from '../stacks/stack.js'
import { answer, category, ran } from '../work.js'

const categories = 64
const slots = 10
const callers = 1_000

/**
 * Each caller calls again as soon as it has its answer, so that ten calls run and all others wait, from the first to
 * the last. Cofferdam does everything that it does for any call meanwhile; what it is held against only limits.
 */
export const waiting: Case = {
  name: 'waiting',
  title: `A bulkhead of ${slots}, saturated by ${callers.toLocaleString('en')} callers`,
  unit: 'ns a call',
  points: [callers],
  pointIs: 'callers',
  subjects: subjects('cofferdam', 'limited', 'limited-8'),
  prepare: (build, points, effort) => timed(points, effort, (atOnce) => inLine(build, atOnce)),
}

function inLine(build: BuildStack, atOnce: number): TimedRun {
  const { call } = build({ ...plain, operation: answer, fallback: false, slots, queue: atOnce })
  const caller = async (index: number, times: number): Promise<void> => {
    const asked = category(index, categories)
    for (let done = 0; done < times; done++) {
      const reply = await call(asked)
      if (reply.category !== asked) throw new Error(`asked for ${asked}, got ${reply.category}`)
    }
  }
  return async (wanted) => {
    const each = Math.max(1, Math.round(wanted / atOnce))
    const calls = each * atOnce
    const ranBefore = ran.times
    const start = performance.now()
    await Promise.all(Array.from({ length: atOnce }, (_, index) => caller(index, each)))
    const ms = performance.now() - start
    if (ran.times - ranBefore !== calls) throw new Error('not every call ran the operation')
    return { calls, ms }
  }
}
