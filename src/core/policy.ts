import type { Attempt } from './attempt.js'
import type { Background } from './background.js'
import type { Clock } from './clock.js'
import type { Gate } from './gate.js'
import type { Guard, Recoverer } from './guard.js'
import type { InFlight } from './in-flight.js'
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
  /** Whether that name was given, and not taken from the function. */
  readonly named: boolean
  /** Its place among the recoverers, outermost 0. */
  readonly index: number
  readonly report: (error: unknown) => void
  /** Whether the next attempt would be a trial of a half-open circuit: nothing may hold it back. */
  readonly trialDue: () => boolean
  /** Ms until it is one; undefined when nobody can say. */
  readonly retryAfter: () => number | undefined
  /** Whether the dependency is available. */
  readonly available: () => boolean
  /** Where work is done that nobody waits for; made when something first runs in it. */
  readonly background: () => Background
  /** What is to stop when the dependency closes. */
  readonly onClose: (stop: () => void) => void
}

/**
 * The same host for the policy at that place. Named one by one: what spreading makes has a hidden class of its own, and
 * code that meets more than four of them finds its way through each by a look-up.
 */
export function placed(host: Omit<PolicyHost, 'index'>, index: number): PolicyHost {
  const { clock, stalls, tally, dependency, operation, named, report } = host
  const { trialDue, retryAfter, available, background, onClose } = host
  return {
    clock,
    stalls,
    tally,
    dependency,
    operation,
    named,
    index,
    report,
    trialDue,
    retryAfter,
    available,
    background,
    onClose,
  }
}

/** A policy that acts before and after each attempt; made once for each operation that it is put around. */
export interface GuardPolicy {
  readonly role: 'guard'
  readonly kind: string
  /** The gate that it obeys, if it obeys one. */
  readonly gate?: Gate
  /** Where the work is listed that it guards, if a dependency has to know of it: it can't be emptied otherwise. */
  readonly inFlight?: InFlight<Attempt>
  make(host: PolicyHost): Guard
}

/** A policy that may answer in place of an attempt. */
export interface RecovererPolicy {
  readonly role: 'recoverer'
  readonly kind: string
  make(host: PolicyHost): Recoverer
}
