import type { Clock } from '../../core/clock.js'

/**
 * Monotonic time and wall time, for what comes from other processes. Wall time may have been set back since; the latest
 * that was ever seen to be true is believed, so that nothing gets younger by it, and what was in order stays in order.
 */
export class WallTime {
  readonly #clock: Clock
  #ahead: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#ahead = clock.wall() - clock.now()
  }

  look(): void {
    this.#ahead = Math.max(this.#ahead, this.#clock.wall() - this.#clock.now())
  }

  /** Now, as the latest that it can be. */
  get latest(): number {
    this.look()
    return this.#clock.now() + this.#ahead
  }

  /** For stamps that others read: by wall time as it is set now. */
  stamps(): (at: number) => number {
    const ahead = this.#clock.wall() - this.#clock.now()
    return (at) => at + ahead
  }
}
