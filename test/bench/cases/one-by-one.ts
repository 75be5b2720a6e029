import type { TimedRun } from '../harness/timed.js'
import { category, ran, type Reply } from '../work.js'

/** Calls one after another, each awaited, each of which must have run the operation and brought its answer. */
export function oneByOne(call: (category: string) => Promise<Reply>, categories = 64): TimedRun {
  return async (calls) => {
    const ranBefore = ran.times
    const start = performance.now()
    for (let index = 0; index < calls; index++) {
      const asked = category(index, categories)
      const reply = await call(asked)
      if (reply.category !== asked) throw new Error(`asked for ${asked}, got ${reply.category}`)
    }
    const ms = performance.now() - start
    if (ran.times - ranBefore !== calls)
      throw new Error(`${calls} calls ran the operation ${ran.times - ranBefore} times`)
    return { calls, ms }
  }
}
