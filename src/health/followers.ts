import type { Attempt } from '../core/attempt.js'
import type { Cause } from './cause.js'
import type { Mode } from './override.js'

/** Who follows the verdict. All are told after the state has changed, and must not throw. */
export interface VerdictListener {
  /** Anything in the dependency's snapshot may have changed. */
  changed(): void
  /** The mode changed; or, with `enforced: false`, would have. */
  flipped(to: Mode, cause: Cause, enforced: boolean): void
  /** The ceiling on slots has risen. */
  rose(): void
}

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
