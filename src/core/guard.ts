import type { Attempt } from './attempt.js'
import type { Call } from './call.js'

/**
 * What came of an attempt that has ended. `ignored` is an error that isn't the dependency's failure (a 404);
 * `refused` and `cancelled` say that no work ran: another guard refused, or the caller left before the start.
 */
export type Outcome = 'success' | 'failure' | 'ignored' | 'refused' | 'cancelled'

/**
 * Why a caller stopped waiting while the work went on: its timeout; a time shorter than the operation's own
 * (`cut`: a deadline, or a timeout given with the call); or its abort.
 */
export type Departure = 'timeout' | 'cut' | 'aborted'

/** A policy that acts before and after each attempt. Plain objects, composed once, when an operation is wrapped. */
export interface Guard {
  readonly kind: string
  /** Admits (`undefined`), refuses (an error, returned rather than thrown), or hands back a promise to wait for. */
  enter(attempt: Attempt): undefined | Error | Promise<void>
  /** After a later guard has made the attempt wait: refuses it after all, by an error. */
  resume?(attempt: Attempt): undefined | Error
  /** Runs exactly once for every guard that was entered, when the work has ended or it is known that none will run. */
  settle(attempt: Attempt, outcome: Outcome): void
  /** Runs when the caller has stopped waiting: for its own wait in `enter`, or while the work goes on. */
  abandon(attempt: Attempt, why: Departure): void
}

/** `true` once `call.serve(…)` has been given something; `again`: another attempt is to be made. */
export type Recovery = boolean | 'again'

/** A policy that stands outside the guards and may answer instead of an attempt. */
export interface Recoverer {
  readonly kind: string
  /** `false`: it answers every call, and none may go live. */
  readonly live?: boolean
  /**
   * Before there is a record of the call, where nobody would look at it: a promise is the answer. Else `answer` is
   * asked in the same step, with the same array of arguments.
   */
  readonly peek?: ((args: readonly unknown[], now: number) => Promise<unknown> | undefined) | undefined
  /** Before any attempt: a promise is the answer. */
  answer?(call: Call): Promise<unknown> | undefined
  /** After a failed attempt. A rejection means no. */
  recover?(call: Call, error: unknown): Recovery | Promise<Recovery>
  /** Sees how each attempt ended, also a late one; an error handed back goes to the caller in place of the value. */
  settle?(attempt: Attempt, outcome: Outcome): Error | undefined
}
