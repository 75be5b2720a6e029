import { systemClock, type Clock, type Timer } from './core/clock.js'

/** Where wall time starts unless told otherwise: 2026-01-01T00:00:00Z. */
const START = 1_767_225_600_000

class ManualTimer implements Timer {
  readonly due: number
  readonly fire: () => void
  referenced = true

  constructor(due: number, fire: () => void) {
    this.due = due
    this.fire = fire
  }

  ref(): this {
    this.referenced = true
    return this
  }

  unref(): this {
    this.referenced = false
    return this
  }
}

/** Lets everything run that waits for nothing but its turn: promise reactions and ticks. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    systemClock.afterPoll(resolve)
  })
}

/**
 * A clock that stands still until it is told to move, for tests of code that uses this library.
 *
 * @example
 * const clock = new ManualClock()
 * const registry = createRegistry({ clock })
 * await clock.advance(5_000)
 */
export class ManualClock implements Clock {
  #now = 0
  #wall: number
  #timers = new Set<ManualTimer>()
  #polls: (() => void)[] = []
  #random: () => number

  /** @param options `wall`: where wall time starts; `random`: what `random()` gives (default: always 0.5) */
  constructor(options: { wall?: number; random?: () => number } = {}) {
    this.#wall = options.wall ?? START
    this.#random = options.random ?? (() => 0.5)
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#wall
  }

  random(): number {
    return this.#random()
  }

  setTimer(fire: () => void, ms: number): Timer {
    const timer = new ManualTimer(this.#now + Math.max(0, ms), fire)
    this.#timers.add(timer)
    return timer
  }

  clearTimer(timer: Timer): void {
    if (timer instanceof ManualTimer) this.#timers.delete(timer)
  }

  afterPoll(fire: () => void): void {
    this.#polls.push(fire)
  }

  /** How many timers are set; with `referenced`, only those that would keep the process alive. */
  pending(options: { referenced?: boolean } = {}): number {
    return [...this.#timers].filter((timer) => options.referenced !== true || timer.referenced).length
  }

  /** Moves on by `ms`, firing timers in order and letting promises settle after each. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms
    await settle()
    await this.#poll()
    for (let timer = this.#next(until); timer !== undefined; timer = this.#next(until)) {
      this.#move(timer.due)
      this.#timers.delete(timer)
      timer.fire()
      await settle()
      await this.#poll()
    }
    this.#move(until)
    await settle()
  }

  /** The event loop is blocked for `ms`: time passes and no timer fires. `advance` then fires those that are due, late. */
  block(ms: number): void {
    this.#move(this.#now + ms)
  }

  /** Wall time is set by so many ms, forward or back; durations don't notice. */
  stepWall(ms: number): void {
    this.#wall += ms
  }

  /** Never back: a callback may have blocked beyond it. */
  #move(to: number): void {
    if (!(to > this.#now)) return
    this.#wall += to - this.#now
    this.#now = to
  }

  #next(until: number): ManualTimer | undefined {
    let next: ManualTimer | undefined
    for (const timer of this.#timers)
      if (timer.due <= until && (next === undefined || timer.due < next.due)) next = timer
    return next
  }

  async #poll(): Promise<void> {
    for (let fire = this.#polls.shift(); fire !== undefined; fire = this.#polls.shift()) {
      fire()
      await settle()
    }
  }
}
