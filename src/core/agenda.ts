import TinyQueue from 'tinyqueue'
import { backgroundTimer, type Clock, type Timer } from './clock.js'

/** Something that is to happen. */
export interface Appointment {
  readonly due: number
  /** `undefined` once it has run or was cancelled. */
  run: (() => void) | undefined
}

/**
 * What is to be done in the background, and when: any number of appointments on one timer, which never keeps the
 * process alive and doesn't run while there is none.
 */
export class Agenda {
  readonly #clock: Clock
  readonly #queue = new TinyQueue<Appointment>([], (a, b) => a.due - b.due)
  #timer: Timer | undefined
  #armedFor = Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @param ms from now on */
  in(ms: number, run: () => void): Appointment {
    return this.at(this.#clock.now() + ms, run)
  }

  /** @param due by the monotonic clock */
  at(due: number, run: () => void): Appointment {
    const appointment: Appointment = { due, run }
    this.#queue.push(appointment)
    this.#arm()
    return appointment
  }

  /** Harmless when it has run already. */
  cancel(appointment: Appointment): void {
    appointment.run = undefined
    this.#arm()
  }

  close(): void {
    while (this.#queue.length > 0) this.#queue.pop()!.run = undefined
    this.#arm()
  }

  #arm(): void {
    while (this.#queue.peek()?.run === undefined && this.#queue.length > 0) this.#queue.pop()
    const due = this.#queue.peek()?.due ?? Infinity
    if (due === this.#armedFor) return
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer)
    this.#armedFor = due
    this.#timer =
      due === Infinity
        ? undefined
        : backgroundTimer(this.#clock, this.#fired, Math.max(1, Math.ceil(due - this.#clock.now())))
  }

  readonly #fired = (): void => {
    this.#timer = undefined
    this.#armedFor = Infinity
    const now = this.#clock.now()
    try {
      for (let next = this.#queue.peek(); next !== undefined && next.due <= now; next = this.#queue.peek()) {
        this.#queue.pop()
        const { run } = next
        next.run = undefined
        run?.()
      }
    } finally {
      // Whatever one of them throws, the others must come.
      this.#arm()
    }
  }
}
