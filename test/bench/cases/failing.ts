import type { Case } from '../harness/case.js'
import { timed, type TimedRun } from '../harness/timed.js'
import { plain, type BuildStack, type Stack } from '../stacks/stack.js'
import { breakable, category, fallbackReply, ran } from '../work.js'

const categories = 64
const windows = [100, 10_000, 100_000]

/**
 * The windows are filled with good calls, and the failing ones that are measured add a tenth to them at most, or the
 * figure would be one of a fuller window. Then a new stack takes over.
 *
 * mollitia counts the last hundred calls, and copies its window at every one: a larger one would take hours to fill.
 * cockatiel keeps two counters; 100,000 calls in it would take all the time of this case and show what 10,000 do.
 */
export const failing: Case = {
  name: 'failing',
  title: 'Failing: the operation fails and a fallback is served, the circuit is kept from opening',
  unit: 'ns a call',
  pointIs: 'calls in the window',
  points: windows,
  subjects: [
    { name: 'floor' },
    { name: 'cofferdam' },
    { name: 'opossum' },
    { name: 'opossum-no-percentiles' },
    { name: 'cockatiel', points: [100, 10_000] },
    { name: 'mollitia', points: [100] },
  ],
  effort: (quick) => (quick ? { rounds: 5 } : { rounds: 7 }),
  prepare: (build, points, effort) => timed(points, effort, (calls) => failingCalls(build, calls)),
}

/** Beyond this, filling windows would take far longer than measuring. */
const mostInARound = 2_500

let built = 0

export function failingCalls(build: BuildStack, inWindow: number): TimedRun {
  const work = breakable()
  return async (wanted) => {
    const calls = Math.min(wanted, Math.max(mostInARound, inWindow / 10))
    let ms = 0
    for (let left = calls; left > 0;) {
      work.broken = false
      const stack = build({ ...plain, name: `feed-${built++}`, operation: work.operation, neverTrip: true })
      await fill(stack, inWindow)
      work.broken = true
      const now = Math.min(left, Math.max(50, inWindow / 10))
      ms += await fail(stack, now)
      left -= now
      await stack.close()
    }
    return { calls, ms }
  }
}

async function fill({ call }: Stack, calls: number): Promise<void> {
  for (let index = 0; index < calls; index++) await call(category(index, categories))
}

/** With categories that never had an answer, so that nothing stale can be served. */
async function fail({ call }: Stack, calls: number): Promise<number> {
  const ranBefore = ran.times
  const start = performance.now()
  for (let index = 0; index < calls; index++) {
    const reply = await call(category(categories + (index % categories), 2 * categories))
    if (reply !== fallbackReply) throw new Error(`expected the fallback, got ${reply.category}`)
  }
  const ms = performance.now() - start
  if (ran.times - ranBefore !== calls) throw new Error('a failing call did not reach the operation')
  return ms
}
