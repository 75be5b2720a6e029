import { subjects, type Case } from '../harness/case.js'
import { timed, type TimedRun } from '../harness/timed.js'
import { plain, type BuildStack } from '../stacks/stack.js'
import { answer, ran, type Reply } from '../work.js'

/** As many as are kept. */
const KEYS = 10_000
const JOINERS = 100
const FRESH_FOR = 3_600_000
const keys = Array.from({ length: 2 * KEYS }, (_, index) => `category-${index}`)

const points = [KEYS]
const pointIs = 'keys'
const caching = subjects('lru-get', 'cofferdam', 'lru-fetch', 'bentocache', 'async-cache-dedupe')

export const cacheHit: Case = {
  name: 'cache-hit',
  title: 'A fresh value is served',
  unit: 'ns a call',
  points,
  pointIs,
  subjects: caching,
  prepare: async (build, points, effort) => {
    const call = make(build)
    await through(call, KEYS, true)(KEYS)
    return timed(points, effort, () => through(call, KEYS, false))
  },
}

export const cacheMiss: Case = {
  name: 'cache-miss',
  title: 'Nothing is there: the operation runs, its value is kept, and another goes',
  unit: 'ns a call',
  points,
  pointIs,
  subjects: caching,
  // Twice as many keys as are kept, in turn: each is gone when it is asked for again.
  prepare: (build, points, effort) => timed(points, effort, () => through(make(build), 2 * KEYS, true)),
}

export const cacheJoin: Case = {
  name: 'cache-join',
  title: `Single flight: ${JOINERS} callers of one key at once, of which one loads it`,
  unit: 'ns a call',
  points,
  pointIs,
  // The bare store has none.
  subjects: caching.filter(({ name }) => name !== 'lru-get'),
  prepare: (build, points, effort) => timed(points, effort, () => together(make(build))),
}

function make(build: BuildStack): (key: string) => Promise<Reply> {
  return build({ ...plain, operation: answer, freshFor: FRESH_FOR, keep: KEYS }).call
}

/** One after another, in the order of the keys. */
function through(call: (key: string) => Promise<Reply>, among: number, loads: boolean): TimedRun {
  let next = 0
  return async (calls) => {
    const ranBefore = ran.times
    const start = performance.now()
    for (let i = 0; i < calls; i++) {
      const key = keys[next++ % among]!
      const reply = await call(key)
      if (reply.category !== key) throw new Error(`asked for ${key}, got ${reply.category}`)
    }
    const ms = performance.now() - start
    const times = ran.times - ranBefore
    if (times !== (loads ? calls : 0)) throw new Error(`${calls} calls ran the operation ${times} times`)
    return { calls, ms }
  }
}

function together(call: (key: string) => Promise<Reply>): TimedRun {
  let next = 0
  const pending = new Array<Promise<Reply>>(JOINERS)
  return async (wanted) => {
    const flights = Math.max(1, Math.round(wanted / JOINERS))
    const ranBefore = ran.times
    const start = performance.now()
    for (let flight = 0; flight < flights; flight++) {
      const key = keys[next++ % (2 * KEYS)]!
      for (let i = 0; i < JOINERS; i++) pending[i] = call(key)
      if ((await Promise.all(pending)).at(-1)?.category !== key) throw new Error('a call brought another answer')
    }
    const ms = performance.now() - start
    if (ran.times - ranBefore !== flights) throw new Error(`${flights} flights ran ${ran.times - ranBefore} times`)
    return { calls: flights * JOINERS, ms }
  }
}
