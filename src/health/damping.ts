/** What one flip to unavailable adds. */
const FLIP = 1_000
/** In so many ms half of the penalty is forgotten. */
const HALF_LIFE = 120_000
/** From this penalty on the return to available is held back, until it has decayed to `REUSED`. */
const SUPPRESSED = 3_000
const REUSED = 1_000
/** The longest suppression, ms. */
const AT_MOST = 300_000
/** More penalty would only take longer than that to decay. */
const CEILING = REUSED * 2 ** (AT_MOST / HALF_LIFE)
/** With less than this left, its flapping is over. */
const FORGOTTEN = REUSED / 2

/** Flips that belong together: between them the penalty was never forgotten. */
export interface FlapEpisode {
  /** Flips to unavailable. */
  readonly flips: number
  /** Monotonic time of the first. */
  readonly since: number
}

/**
 * Holds back the return of a dependency that flaps: a penalty for each flip to unavailable that decays with time, two
 * levels, and a longest time. The route-flap damping of BGP (RFC 2439). Flapping every 10 to 30 s is suppressed at the
 * fourth flip, for about 200 s; with periods of 90 s and more it never is.
 *
 * Computed when it is read; no timer runs for it. `now` is monotonic.
 */
export class Damping {
  /** The penalty right after the last flip, and when that was. */
  #penalty = 0
  #at = 0
  #flips = 0
  #since = 0
  /** When the suppression began and when it ends; both in the past when there is none. */
  #began = -Infinity
  #until = -Infinity

  /** The mode went from available to unavailable. */
  flipped(now: number): void {
    const left = this.penalty(now)
    if (left < FORGOTTEN) {
      this.#flips = 0
      this.#since = now
    }
    this.#flips++
    this.#penalty = Math.min(CEILING, left + FLIP)
    this.#at = now
    const suppressed = now < this.#until
    if (!suppressed && this.#penalty < SUPPRESSED) return
    if (!suppressed) this.#began = now
    const decayed = now + HALF_LIFE * Math.log2(this.#penalty / REUSED)
    // Flips of somebody who may pass the suppression don't prolong it for ever.
    this.#until = Math.min(decayed, this.#began + AT_MOST)
  }

  penalty(now: number): number {
    return this.#penalty * 2 ** ((this.#at - now) / HALF_LIFE)
  }

  /** How long the return to available is still held back, ms; 0 = it isn't. */
  suppressedFor(now: number): number {
    return Math.max(0, this.#until - now)
  }

  /** The flapping that goes on; a single flip counts as one too, until it is forgotten. */
  episode(now: number): FlapEpisode | undefined {
    return this.penalty(now) < FORGOTTEN ? undefined : { flips: this.#flips, since: this.#since }
  }
}
