import type { Attempt } from '../core/attempt.js'
import type { Cause, CauseKind } from './cause.js'
import type { Mode } from './override.js'

/** Who follows the verdict. All are told after the state has changed, and must not throw. */
export interface VerdictListener {
  /** Anything in the dependency's snapshot may have changed. */
  changed(): void
  /** The mode changed; or, with `enforced: false`, would have. */
  flipped(to: Mode, cause: Cause, enforced: boolean): void
  /** The ceiling on slots has risen. */
  rose(): void
  /** The circuit opened, for what `kind` said; a trial is due in so many ms. */
  opened(trialIn: number, kind: CauseKind): void
  /** The circuit closed. */
  closed(): void
  /** Nothing passes any more, and no flip is told. */
  shut(): void
  /** It has flipped so often that its return is held back. */
  flapping(flapping: Flapping): void
}

/** So many flips to unavailable within so many ms; no return for so many more. */
export interface Flapping {
  flips: number
  within: number
  suppressedFor: number
}

/** What else has a say before a recovered dependency is trusted. */
export interface Recovery {
  /** Probes do the trials, not users' calls. */
  readonly probed: boolean
  /** Reads the invariants. @returns undefined when there are none; never rejects */
  prove(): Promise<Proof> | undefined
}

/** `broken`: it is latched by now; `unreadable`: nothing is known, so nothing is trusted. */
export type Proof = 'holds' | 'broken' | 'unreadable'

/** An opossum breaker in step with the circuit. */
export interface Mirror {
  showOpen(openFor: number): void
  showClosed(): void
  beginTrial(attempt: Attempt): void
  passTrial(attempt: Attempt): void
  failTrial(attempt: Attempt): void
  /** The trial decided against the dependency although it brought an answer: it was slow. */
  dropTrial(): void
}
