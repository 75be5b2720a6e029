import type { CircuitSettings } from './circuit-options.js'
import { Damping } from './damping.js'
import type { Flapping } from './followers.js'

/** How many times an open time may double; a limit for the exponent only. */
const MOST_DOUBLINGS = 30

/**
 * How long the circuit stays open before a trial: longer after each recovery that failed, and as long as its return is
 * held back because it flaps.
 */
export class OpenTime {
  readonly #random: () => number
  readonly #damping = new Damping()
  #failedRecoveries = 0

  constructor(random: () => number) {
    this.#random = random
  }

  /** A trial failed, or the ramp after it. */
  recoveryFailed(): void {
    this.#failedRecoveries++
  }

  /** A recovery has held. */
  recovered(): void {
    this.#failedRecoveries = 0
  }

  /**
   * @param flips it was available until now
   * @returns ms, and the flapping if its return is held back from now on
   */
  next(now: number, circuit: CircuitSettings, flips: boolean): { openFor: number; flapping: Flapping | undefined } {
    const damping = this.#damping
    const heldBefore = damping.suppressedFor(now)
    if (flips) damping.flipped(now)
    const held = damping.suppressedFor(now)
    const episode = held > 0 && heldBefore === 0 ? damping.episode(now) : undefined
    return {
      openFor: Math.max(this.#grown(circuit), held),
      flapping: episode && { flips: episode.flips, within: now - episode.since, suppressedFor: held },
    }
  }

  /** Doubled by each failed recovery, then with jitter (± 10 %), so that many processes don't try in step. */
  #grown({ openFor, openForAtMost }: CircuitSettings): number {
    if (this.#failedRecoveries === 0) return openFor
    const grown = openFor * 2 ** Math.min(MOST_DOUBLINGS, this.#failedRecoveries)
    return Math.min(openForAtMost, grown * (0.9 + 0.2 * this.#random()))
  }
}
