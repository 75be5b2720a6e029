import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { subjects, type Case } from '../harness/case.js'
import { timed, type TimedRun } from '../harness/timed.js'
import { plain } from '../stacks/stack.js'
import { answer } from '../work.js'
import { oneByOne } from './one-by-one.js'

const youngMegabytes = 128
const target = 32 * 2 ** 20

/**
 * The growth of the used heap over calls between which nothing was collected: then it is what they allocated, dead or
 * alive. The young generation is made so large that collections are rare, and a round with one in it is taken again.
 *
 * The calls are warm, for optimised code allocates less. What the operation itself allocates is in every figure, and
 * alone in the one of `raw`.
 */
export const allocation: Case = {
  name: 'allocation',
  title: 'Bytes allocated a call: all is well',
  unit: 'bytes a call',
  points: [1],
  subjects: subjects('raw', 'floor', 'cofferdam', 'opossum', 'cockatiel', 'mollitia', 'nested'),
  nodeFlags: [`--min-semi-space-size=${youngMegabytes}`, `--max-semi-space-size=${youngMegabytes}`],
  effort: (quick) => ({ rounds: quick ? 3 : 5 }),
  prepare: async (build, points, effort) => {
    const run = oneByOne(build({ ...plain, operation: answer }).call)
    const collections = new Collections()
    await timed(points, effort, () => run)
    const calls = Math.round(target / ((await allocated(run, 1_000, collections)) / 1_000))
    return async () => (await allocated(run, calls, collections)) / calls
  },
}

async function allocated(run: TimedRun, calls: number, collections: Collections): Promise<number> {
  for (let attempt = 0; attempt < 5; attempt++) {
    globalThis.gc?.()
    await collections.forget()
    const before = process.memoryUsage().heapUsed
    await run(calls)
    const bytes = process.memoryUsage().heapUsed - before
    if (!(await collections.any())) return bytes
  }
  throw new Error(`${calls} calls could not be made without a garbage collection`)
}

/** Tells whether anything was collected. An entry arrives a turn or two of the event loop after its collection. */
class Collections {
  private count = 0

  constructor() {
    new PerformanceObserver((list) => {
      this.count += list.getEntries().length
    }).observe({ entryTypes: ['gc'] })
  }

  async forget(): Promise<void> {
    await this.any()
    this.count = 0
  }

  async any(): Promise<boolean> {
    for (let turn = 0; turn < 5; turn++) await setImmediate()
    return this.count > 0
  }
}
