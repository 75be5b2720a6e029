import { backgroundTimer, type Clock, type Timer } from '../core/clock.js'

/** In how many steps waiters are looked at again while the ceiling rises. */
const STEPS = 20

/**
 * After a recovery: a ceiling on slots that rises from 1, so that a dependency that has just come back isn't
 * buried by all who waited for it. Its timer runs only while it rises.
 */
export class Ramp {
  readonly #clock: Clock
  /** Ms; 0 = none. */
  length: number
  readonly #stepped: (completed: boolean) => void
  #startedAt: number | undefined
  #timer: Timer | undefined

  /** @param stepped runs at the start and at each step, so that slots and waiters follow; `completed` at the last one */
  constructor(clock: Clock, length: number, stepped: (completed: boolean) => void) {
    this.#clock = clock
    this.length = length
    this.#stepped = stepped
  }

  get running(): boolean {
    return this.#startedAt !== undefined
  }

  start(): void {
    this.stop()
    if (this.length === 0) {
      this.#stepped(true)
      return
    }
    this.#startedAt = this.#clock.now()
    this.#arm()
    this.#stepped(false)
  }

  stop(): void {
    this.#startedAt = undefined
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer)
    this.#timer = undefined
  }

  /** How far it has come, 0 to 1; 1 when none is running. */
  get progress(): number {
    // It may have been shortened to nothing while it ran.
    if (this.#startedAt === undefined || this.length === 0) return 1
    return Math.min(1, (this.#clock.now() - this.#startedAt) / this.length)
  }

  /** How many of `slots` may be held now. */
  ceiling(slots: number): number {
    return 1 + Math.floor((slots - 1) * this.progress)
  }

  #arm(): void {
    this.#timer = backgroundTimer(this.#clock, this.#step, this.length / STEPS)
  }

  readonly #step = (): void => {
    this.#timer = undefined
    const completed = this.progress === 1
    if (completed) this.#startedAt = undefined
    else this.#arm()
    this.#stepped(completed)
  }
}
