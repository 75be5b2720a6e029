import type { Appointment } from '../core/agenda.js'
import type { Attempt } from '../core/attempt.js'
import type { Background } from '../core/background.js'
import type { Clock } from '../core/clock.js'
import type { InFlight } from '../core/in-flight.js'

/**
 * Tells of work that still runs after a limit, once each, whether or not its caller is still there: what eats the
 * slots is seen while it does so. The list in flight is in the order of beginning, so one look at a time is enough.
 */
export class LongCalls {
  readonly #background: () => Background
  readonly #clock: Clock
  readonly #inFlight: InFlight<Attempt>
  readonly #tell: (attempt: Attempt, ranFor: number) => void
  readonly #told = new WeakSet<Attempt>()
  #limit: number
  #next: Appointment | undefined
  #stopped = false

  constructor(
    background: () => Background,
    clock: Clock,
    inFlight: InFlight<Attempt>,
    limit: number,
    tell: (attempt: Attempt, ranFor: number) => void,
  ) {
    this.#background = background
    this.#clock = clock
    this.#inFlight = inFlight
    this.#limit = limit
    this.#tell = tell
  }

  /** While somebody listens; until then no timer runs, and work costs nothing more. */
  set heard(heard: boolean) {
    if (!heard) this.#rest()
    else if (this.#next === undefined) this.#look()
  }

  /** Another limit, ms, for what runs already too. */
  set limit(ms: number) {
    this.#limit = ms
    if (this.#next === undefined) return
    this.#background().agenda.cancel(this.#next)
    this.#again(0)
  }

  /** The first work after none: looked at when it may have become long. Until then it costs the others nothing. */
  readonly #wake = (): void => {
    this.#again(this.#limit)
  }

  stop(): void {
    this.#rest()
    this.#stopped = true
  }

  readonly #look = (): void => {
    if (this.#stopped) return
    const now = this.#clock.now()
    const long: Attempt[] = []
    this.#next = undefined
    this.#inFlight.wake = this.#wake
    for (const attempt of this.#inFlight) {
      const ranFor = now - attempt.startedAt
      if (ranFor < this.#limit) {
        this.#inFlight.wake = undefined
        this.#again(this.#limit - ranFor)
        break
      }
      if (!this.#told.has(attempt)) long.push(attempt)
    }
    // At the end: what a listener begins must find everything in order.
    for (const attempt of long) {
      this.#told.add(attempt)
      this.#tell(attempt, now - attempt.startedAt)
    }
  }

  #rest(): void {
    this.#inFlight.wake = undefined
    if (this.#next !== undefined) this.#background().agenda.cancel(this.#next)
    this.#next = undefined
  }

  #again(ms: number): void {
    if (!this.#stopped) this.#next = this.#background().agenda.in(ms, this.#look)
  }
}
