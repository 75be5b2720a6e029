import type { Clock } from '../../core/clock.js'

/** Wall time is in whole ms, and is slewed: a difference within this is no step. */
const NOISE = 5

/** Stamps that processes share: wall time, but exact and in order as long as nobody sets the clock. */
export class SharedTime {
  readonly #clock: Clock
  #origin: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#origin = clock.wall() - clock.now()
  }

  now(): number {
    return this.at(this.#clock.now())
  }

  /** @param monotonic as of the clock's `now` */
  at(monotonic: number): number {
    const origin = this.#clock.wall() - this.#clock.now()
    if (Math.abs(origin - this.#origin) > NOISE) this.#origin = origin
    return this.#origin + monotonic
  }

  /** The same instant by the monotonic clock. */
  monotonic(shared: number): number {
    return this.#clock.now() - (this.now() - shared)
  }
}
