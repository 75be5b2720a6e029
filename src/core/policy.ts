import type { Clock } from './clock.js'
import type { Gate } from './gate.js'
import type { Guard, Recoverer } from './guard.js'
import type { StallWatch } from './stall.js'
import type { Tally } from './tally.js'

/** What a policy is told of the operation that it is put around. */
export interface PolicyHost {
  readonly clock: Clock
  readonly stalls: StallWatch
  readonly tally: Tally
  /** The dependency's name. */
  readonly dependency: string
  /** The operation's name. */
  readonly operation: string
  /** Its place among the recoverers, outermost 0. */
  readonly index: number
  readonly report: (error: unknown) => void
  /** Whether the next attempt would be a trial of a half-open circuit: nothing may hold it back. */
  readonly trialDue: () => boolean
  /** Whether the dependency's mode is `available`. */
  readonly available: () => boolean
}

/** A policy that acts before and after each attempt; made once for each operation that it is put around. */
export interface GuardPolicy {
  readonly role: 'guard'
  readonly kind: string
  /** The gate that it obeys, if it obeys one. */
  readonly gate?: Gate
  make(host: PolicyHost): Guard
}

/** A policy that may answer in place of an attempt. */
export interface RecovererPolicy {
  readonly role: 'recoverer'
  readonly kind: string
  make(host: PolicyHost): Recoverer
}
