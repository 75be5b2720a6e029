import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { subjects, type Case } from '../harness/case.js'
import { plain, type Stack } from '../stacks/stack.js'
import { answerOrFail, category, ran } from '../work.js'

const categories = 64
const perSecond = 20_000

/**
 * The calls come in batches, about one each millisecond, and what a late batch missed comes with the next. Each second
 * call fails and is answered all the same, from what is stale or with the fallback; the circuit is kept from opening,
 * or half of the load would never be.
 *
 * The monitor looks each millisecond, and what it reports contains that millisecond.
 */
export const loopDelay: Case = {
  name: 'loop-delay',
  title: 'Event loop delay, p99: 20,000 calls a second, half of them failing',
  unit: 'ms',
  pointIs: 'calls a second',
  points: [perSecond],
  subjects: subjects('raw', 'cofferdam'),
  effort: (quick) => (quick ? { rounds: 3, roundMs: 300 } : { launches: 1, rounds: 9, roundMs: 2_000 }),
  // A turn that comes late begins all that is due at once: none of it may be refused.
  prepare: async (build, [rate = perSecond], { roundMs, warmUpMs }) => {
    const stack = build({ ...plain, operation: answerOrFail, slots: 100_000, neverTrip: true })
    await load(stack, rate, warmUpMs)
    return (point) => delayUnder(() => load(stack, point, roundMs))
  },
}

async function delayUnder(work: () => Promise<void>): Promise<number> {
  const monitor = monitorEventLoopDelay({ resolution: 1 })
  monitor.enable()
  await work()
  monitor.disable()
  return monitor.percentile(99) / 1e6
}

async function load({ call }: Stack, rate: number, ms: number): Promise<void> {
  const calls = Math.round((rate / 1_000) * ms)
  const ranBefore = ran.times
  let ended = 0
  const end = (): void => {
    ended++
  }
  const start = performance.now()
  for (let begun = 0; begun < calls;) {
    const due = Math.min(calls, Math.floor((performance.now() - start) * (rate / 1_000)))
    for (; begun < due; begun++) call(category(begun, categories)).then(end, end)
    await setTimeout(1)
  }
  if (ended !== calls || ran.times - ranBefore !== calls)
    throw new Error(`only ${ended} of ${calls} calls ran and ended`)
}
