import { subjects, type Case } from '../harness/case.js'
import { timed, type TimedRun } from '../harness/timed.js'
import { plain, type BuildStack } from '../stacks/stack.js'
import { answer, category, ran } from '../work.js'

const categories = 64

/**
 * So many calls are begun before the first of them can end, with a slot for each. Few categories, as in the other
 * cases: with one for each call the caches would be measured, and only some of the subjects have one.
 */
export const concurrent: Case = {
  name: 'concurrent',
  title: 'Many at once: all is well, calls begun together',
  unit: 'ns a call',
  pointIs: 'concurrent calls',
  points: [100, 10_000],
  subjects: subjects('raw', 'floor', 'cofferdam', 'opossum', 'cockatiel', 'mollitia', 'nested'),
  // A batch of 10,000 takes cockatiel half a second.
  effort: (quick) => ({ rounds: quick ? 2 : 12 }),
  prepare: (build, points, effort) => timed(points, effort, (atOnce) => inBatches(build, atOnce)),
}

export function inBatches(build: BuildStack, atOnce: number): TimedRun {
  const { call } = build({ ...plain, name: `feed-${atOnce}`, operation: answer, slots: atOnce })
  const pending = new Array<ReturnType<typeof call>>(atOnce)
  let next = 0
  return async (wanted) => {
    const batches = Math.max(1, Math.round(wanted / atOnce))
    const calls = batches * atOnce
    const ranBefore = ran.times
    const start = performance.now()
    for (let batch = 0; batch < batches; batch++) {
      for (let index = 0; index < atOnce; index++) pending[index] = call(category(next++, categories))
      const last = (await Promise.all(pending)).at(-1)
      if (last?.category !== category(next - 1, categories)) throw new Error('a call brought another answer')
    }
    const ms = performance.now() - start
    if (ran.times - ranBefore !== calls) throw new Error('not every call ran the operation')
    return { calls, ms }
  }
}
