import type { Appointment } from './agenda.js'
import type { Background, BackgroundKind } from './background.js'

/** How far a turn may be from its time, as a share of the period, so that many processes don't act in step. */
const JITTER = 0.1

/**
 * Background work that is done again and again: in a lane, never overlapping itself, a little off its time.
 * What it does must bound itself and not reject.
 */
export class Periodic {
  /** Ms between the starts of two turns; another one holds from the next turn on. */
  every: number
  readonly #background: Background
  readonly #kind: BackgroundKind
  readonly #work: () => Promise<void>
  #next: Appointment | undefined
  #running = false
  #stopped = false
  /** Asked for while it ran: when the next turn is due. */
  #wanted: number | undefined

  /** @param first the first one comes somewhere within so many ms */
  constructor(background: Background, kind: BackgroundKind, every: number, work: () => Promise<void>, first = every) {
    this.#background = background
    this.#kind = kind
    this.every = every
    this.#work = work
    this.again(first * background.clock.random())
  }

  /** The next turn comes in so many ms instead of at its usual time. */
  again(ms: number): void {
    const due = this.#background.clock.now() + ms
    if (this.#running) this.#wanted = due
    else this.#comeAt(due)
  }

  stop(): void {
    this.#stopped = true
    if (this.#next !== undefined) this.#background.agenda.cancel(this.#next)
  }

  #comeAt(due: number): void {
    if (this.#stopped) return
    if (this.#next !== undefined) this.#background.agenda.cancel(this.#next)
    this.#next = this.#background.agenda.at(due, this.#turn)
  }

  readonly #turn = (): void => {
    this.#next = undefined
    this.#running = true
    void this.#background.run(this.#kind, async () => {
      if (this.#stopped) return
      const { clock } = this.#background
      const began = clock.now()
      await this.#work()
      this.#running = false
      const wanted = this.#wanted
      this.#wanted = undefined
      this.#comeAt(wanted ?? began + this.every * (1 - JITTER + 2 * JITTER * clock.random()))
    })
  }
}
