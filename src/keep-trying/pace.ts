import { grown, type Backoff } from '../core/backoff.js'
import type { Clock } from '../core/clock.js'

/** When attempts were made, in words that another process understands. */
export interface PaceRecord {
  attempts: number
  /** When the last one was begun, wall time. */
  at: number
  /** How long after that the next may be, ms. */
  wait: number
}

/**
 * How fast one name may be connected to, whoever asks: each attempt moves the next one further away, whether it succeeds
 * or not. A connection that succeeds and is lost at once is what floods a server just as well.
 */
export class Pace {
  /** Attempts since it was last steady. */
  attempts = 0
  /** One is being made. */
  busy = false
  /** Told when that changes. */
  readonly waiting = new Set<() => void>()
  readonly #clock: Clock
  #at = -Infinity
  #wait = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How long until the next attempt may be begun, ms. */
  get next(): number {
    return Math.max(0, this.#at + this.#wait - this.#clock.now())
  }

  /**
   * An attempt is begun. The next one waits between half and all of the back-off: the half is what makes it a bound.
   * @param steadyFor how long nothing need have been tried for the pace to begin anew, ms
   */
  begin(backoff: Backoff, steadyFor: number): PaceRecord {
    const now = this.#clock.now()
    if (now - this.#at >= this.#wait + steadyFor) this.attempts = 0
    this.attempts++
    this.busy = true
    this.#at = now
    this.#wait = grown(backoff, this.attempts) * (0.5 + 0.5 * this.#clock.random())
    return { attempts: this.attempts, at: this.#clock.wall(), wait: this.#wait }
  }

  end(): void {
    this.busy = false
    for (const tell of [...this.waiting]) tell()
  }

  /** What a process before us has noted down. Wall time may have been set since: the wait is never longer than it was. */
  restore({ attempts, at, wait }: PaceRecord, longest: number): void {
    if (this.attempts > 0) return
    this.attempts = attempts
    this.#at = this.#clock.now() - Math.max(0, this.#clock.wall() - at)
    this.#wait = Math.min(wait, longest)
  }
}

/** A process that loops through its own start-up makes a new registry each time; the pace outlives them. */
const paces = new WeakMap<Clock, Map<string, Pace>>()

export function paceOf(clock: Clock, name: string): Pace {
  let byName = paces.get(clock)
  if (byName === undefined) paces.set(clock, (byName = new Map<string, Pace>()))
  let pace = byName.get(name)
  if (pace === undefined) byName.set(name, (pace = new Pace(clock)))
  return pace
}
