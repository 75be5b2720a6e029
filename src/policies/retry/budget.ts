import type { Clock } from '../../core/clock.js'

export interface BudgetSettings {
  /** Retries for each call. */
  ratio: number
  /** Retries a second that are allowed in any case. */
  perSecond: number
}

/** How far back the budget looks, ms. */
const WINDOW = 10_000

/**
 * How many retries a dependency can be asked to bear: the larger of a share of its calls and a floor a second. Idea:
 * Finagle's `RetryBudget`, and "Addressing Cascading Failures" in Google's *Site Reliability Engineering*.
 *
 * Two token buckets, one filled by calls and one by time. A retry takes a token from both and needs it in one only, so
 * the other goes into debt: without that their sum would be allowed, not the larger. The debt is what the floor gives
 * in 10 s, so a busy time is forgotten that soon. In any window up to 10 s, retries are at most
 * max(ratio × calls, perSecond × seconds), and a second's floor on top.
 *
 * Computed when asked for: no timers, and nothing to do while all is well.
 */
export class RetryBudget {
  readonly #clock: Clock
  #settings: BudgetSettings
  #ofCalls = 0
  #ofTime: number
  #asOf: number
  #calls = 0
  /** Retries that are among the attempts begun, or will be. */
  #retries = 0

  constructor(clock: Clock, settings: BudgetSettings) {
    this.#clock = clock
    this.#settings = settings
    this.#ofTime = this.#most
    this.#asOf = clock.now()
  }

  /** Other settings from now on; what was saved up stays, as far as it may. */
  configure(settings: BudgetSettings, begun: number): void {
    this.#fill(begun)
    this.#settings = settings
    this.#add(0, 0)
  }

  /** @param begun attempts begun so far, retries among them */
  take(begun: number): boolean {
    this.#fill(begun)
    if (this.#ofCalls < 1 && this.#ofTime < 1) return false
    this.#add(-1, -1)
    this.#retries++
    return true
  }

  /** The retry is not made after all. */
  giveBack(): void {
    this.#add(1, 1)
    this.#retries--
  }

  get #most(): number {
    return Math.max(1, this.#settings.perSecond)
  }

  #fill(begun: number): void {
    const now = this.#clock.now()
    const calls = begun - this.#retries
    this.#add((calls - this.#calls) * this.#settings.ratio, ((now - this.#asOf) / 1_000) * this.#settings.perSecond)
    this.#calls = calls
    this.#asOf = now
  }

  #add(calls: number, time: number): void {
    const least = (-this.#settings.perSecond * WINDOW) / 1_000
    this.#ofCalls = Math.max(least, Math.min(this.#most, this.#ofCalls + calls))
    this.#ofTime = Math.max(least, Math.min(this.#most, this.#ofTime + time))
  }
}
