import { setTimeout as sleep } from 'node:timers/promises'
import { articleIds } from '../upstreams/content.js'
import { isGood } from './good-page.js'

export interface Visit {
  /** When it was due, on the clock of `performance.now()`. */
  at: number
  /** `undefined` when no answer came before the visitor gave up. */
  status: number | undefined
  /** From when the visit was due, so that a late start counts as waiting too. */
  took: number
  good: boolean
}

export interface Visitors {
  /** No more visits; resolves when the last one has ended. */
  stop: () => Promise<void>
}

export const patience = 2_000
const waitingAtMost = 200

/** Visits the portal's articles in turn, `perSecond` times a second, whether or not earlier visits have been answered. */
export function startVisitors(url: string, perSecond: number, onVisit: (visit: Visit) => void): Visitors {
  const started = performance.now()
  const waiting = new Set<Promise<void>>()
  const over = new AbortController()

  async function visit(number: number, at: number): Promise<void> {
    const id = articleIds[number % articleIds.length] ?? '1'
    const answer = waiting.size < waitingAtMost ? await ask(`${url}/articles/${id}`) : undefined
    const took = performance.now() - at
    onVisit({ at, status: answer?.status, took, good: answer !== undefined && isGood({ ...answer, took }, id) })
  }

  async function comeAndGo(): Promise<void> {
    for (let number = 0; ; number++) {
      const at = started + (number * 1_000) / perSecond
      await sleep(Math.max(0, at - performance.now()), undefined, { signal: over.signal })
      const visiting = visit(number, at).finally(() => waiting.delete(visiting))
      waiting.add(visiting)
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

async function ask(url: string): Promise<{ status: number; body: string } | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(patience) })
    return { status: response.status, body: await response.text() }
  } catch {
    return undefined
  }
}
