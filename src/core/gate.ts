import type { Attempt } from './attempt.js'
import type { CofferdamError } from './errors.js'
import type { Tally } from './tally.js'

/** What an attempt has to say of the dependency; `cut` is one that was given less time than its own. */
export type Sample = 'success' | 'failure' | 'ignored' | 'timeout' | 'cut'

/**
 * All that a policy sees of a dependency's health. The verdict behind it decides; a policy only asks and tells.
 */
export interface Gate {
  readonly dependency: string
  /** Nothing to decide: every attempt may pass. */
  readonly closed: boolean
  readonly mode: 'available' | 'unavailable'
  /** Grows with every change of the circuit's state. */
  readonly generation: number
  /** Whether the next attempt would be a trial: nothing may hold it back. */
  readonly trialDue: boolean
  /** Asked when not `closed`: lets the attempt pass, makes it the trial, or refuses it. */
  admit(attempt: Attempt): CofferdamError | undefined
  /** Asked again after the attempt has waited: the circuit may have opened meanwhile. */
  readmit(attempt: Attempt): CofferdamError | undefined
  /** The one sample that an attempt gives, and how long it took, ms. */
  sample(attempt: Attempt, sample: Sample, took: number): void
  /** A trial that has decided nothing gives its turn back. */
  giveBack(attempt: Attempt): void
}

/** Where a dependency keeps its gate, for policies that are composed by hand. */
export const GATE = Symbol('cofferdam.gate')

/** Something whose verdict a circuit can follow: a dependency. */
export interface Gated {
  readonly [GATE]: { gate: Gate; tally: Tally }
}
