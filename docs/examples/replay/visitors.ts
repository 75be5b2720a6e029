import { setTimeout as sleep } from 'node:timers/promises'

/** What came of one visit; nothing when no answer came. */
export type Answer = { status?: number; good: boolean } | undefined

export interface Visit {
  /** When it was due, on the clock of `performance.now()`. */
  at: number
  /** `undefined` when no answer came before the visitor gave up, or the answer has no status. */
  status: number | undefined
  answered: boolean
  /** From when the visit was due, so that a late start counts as waiting too. */
  took: number
  good: boolean
}

export interface Load {
  perSecond: number
  /** Makes the visit of this number; has to end by itself. What it throws is no answer. */
  visit: (number: number) => Promise<Answer>
  onVisit: (visit: Visit) => void
  /** An answer that comes later is no good one. */
  goodWithin: number
  /** Visitors at once; a further one goes away at once.  (= 200) */
  waitingAtMost?: number
}

export interface Visitors {
  /** No more visits; resolves when the last one has ended. */
  stop: () => Promise<void>
}

/** Comes `perSecond` times a second, whether or not earlier visits have been answered. */
export function startVisitors({ perSecond, visit, onVisit, goodWithin, waitingAtMost = 200 }: Load): Visitors {
  const started = performance.now()
  const waiting = new Set<Promise<void>>()
  const over = new AbortController()

  async function come(number: number, at: number): Promise<void> {
    const answer = waiting.size < waitingAtMost ? await visit(number).catch(() => undefined) : undefined
    const took = performance.now() - at
    const good = answer?.good === true && took <= goodWithin
    onVisit({ at, status: answer?.status, answered: answer !== undefined, took, good })
  }

  async function comeAndGo(): Promise<void> {
    for (let number = 0; ; number++) {
      const at = started + (number * 1_000) / perSecond
      await sleep(Math.max(0, at - performance.now()), undefined, { signal: over.signal })
      const coming = come(number, at).finally(() => waiting.delete(coming))
      waiting.add(coming)
    }
  }

  // Ends only by the abort of its sleep.
  const coming = comeAndGo().catch(() => undefined)
  return {
    async stop() {
      over.abort()
      await coming
      await Promise.all(waiting)
    },
  }
}
