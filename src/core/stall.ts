import { backgroundTimer, type Clock, type Timer } from './clock.js'

/** How often the watch looks while work is in flight, ms. */
const PERIOD = 50

/** How late a timer may fire before the event loop is said to have been blocked, ms. */
const TOLERANCE = 20

/**
 * Knows how long the event loop has been blocked, so that our own stall is nobody's failure. Measured without it:
 * a stall of 1 s with a timeout of 300 ms turned 50 of 50 healthy calls (50 ms each) into timeouts.
 *
 * One background timer per clock, alive only while attempts are running.
 */
export class StallWatch {
  /** Blocked time in all, ms; an attempt notes it at its start and compares at its end. */
  total = 0
  readonly #clock: Clock
  #running = 0
  #timer: Timer | undefined
  #due = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  enter(): void {
    this.#running++
    if (this.#timer === undefined) this.#arm(this.#clock.now())
  }

  leave(): void {
    this.#running--
  }

  /**
   * How much of the time since `total` stood at `before` the loop was blocked, ms. Asked only when a sample would
   * count against a dependency; it also sees a stall that has just ended, before any timer could fire.
   */
  since(before: number, now: number): number {
    this.#look(now)
    return this.total - before
  }

  #look(now: number): void {
    const late = now - this.#due
    if (this.#timer === undefined || late <= TOLERANCE) return
    // Whole ms: attempts note it down, and a fraction would take an allocation in each.
    this.total += Math.round(late)
    this.#due = now
  }

  readonly #tick = (): void => {
    const now = this.#clock.now()
    this.#look(now)
    this.#timer = undefined
    if (this.#running > 0) this.#arm(now)
  }

  #arm(now: number): void {
    this.#due = now + PERIOD
    this.#timer = backgroundTimer(this.#clock, this.#tick, PERIOD)
  }
}

const watches = new WeakMap<Clock, StallWatch>()

/** The one watch of a clock. */
export function stallWatch(clock: Clock): StallWatch {
  let watch = watches.get(clock)
  if (watch === undefined) watches.set(clock, (watch = new StallWatch(clock)))
  return watch
}
