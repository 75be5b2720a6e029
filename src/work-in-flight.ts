import type { Attempt } from './core/attempt.js'
import type { Clock } from './core/clock.js'
import type { InFlight } from './core/in-flight.js'
import { abandon, leave } from './core/runner.js'

/** Work that never ends is listed up to this number after its slot was reclaimed; then the oldest is forgotten. */
const MOST_RECLAIMED = 1_000

/** Work that has not ended. */
export interface WorkInFlight {
  /** When its operation began, wall time in ms. */
  readonly since: number
  readonly operation: string
  readonly class?: string
  readonly label?: string
  readonly attempt: number
  /** Its caller has had another answer, or has left. */
  readonly callerGone: boolean
  /** Its slot was taken back. */
  readonly reclaimed: boolean
  /** Aborts its signal; a caller that still waits gets an `AbortError`. */
  abort(): void
}

/** What people see of an attempt that runs. */
export function describeWork(attempt: Attempt, clock: Clock): WorkInFlight {
  const { call, startedAt, attempt: count, phase, reclaimed } = attempt
  const label = call.options?.label ?? call.pipeline.label
  return {
    since: Math.round(clock.wall() - (clock.now() - startedAt)),
    operation: call.pipeline.name,
    ...(call.class === undefined ? {} : { class: call.class }),
    ...(label === undefined ? {} : { label }),
    attempt: count,
    callerGone: phase === 'abandoned',
    reclaimed,
    abort: () => {
      abortWork(attempt, new DOMException('aborted by an operator', 'AbortError'))
    },
  }
}

/** Sends its caller away, if one still waits, and tells the work to stop. */
export function abortWork(attempt: Attempt, reason: unknown): void {
  if (attempt.phase === 'running' && attempt.call.attempt === attempt) leave(attempt.call, reason)
  abandon(attempt, 'aborted', reason)
  attempt.abort(reason)
}

/** Work whose slot was taken back may never end: the list of it is bounded. */
export function forgetOldest(inFlight: InFlight<Attempt>): void {
  const reclaimed = [...inFlight].filter((attempt) => attempt.reclaimed)
  if (reclaimed.length > MOST_RECLAIMED) inFlight.forget(reclaimed[0]!)
}
