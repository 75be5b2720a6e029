import type { Appointment } from './agenda.js'
import type { Background } from './background.js'

/** How far a turn may be from its time, as a share of the period, so that many processes don't act in step. */
const JITTER = 0.1

/**
 * Background work that is done again and again: in a lane, never overlapping itself, a little off its time.
 * What it does must bound itself and not reject.
 */
export class Periodic {
  readonly #background: Background
  readonly #work: () => Promise<void>
  #every: number
  #next: Appointment | undefined
  #running = false
  #stopped = false
  /** Asked for while it ran: when the next turn is due, ms from its end. */
  #wanted: number | undefined

  /**
   * @param every ms between the starts of two turns
   * @param first the first one comes somewhere within so many ms
   */
  constructor(background: Background, every: number, work: () => Promise<void>, first = every) {
    this.#background = background
    this.#every = every
    this.#work = work
    this.again(first * background.clock.random())
  }

  set every(ms: number) {
    this.#every = ms
    this.again(ms * this.#background.clock.random())
  }

  /** The next turn comes in so many ms instead of at its usual time. */
  again(ms: number): void {
    if (this.#stopped) return
    if (this.#running) {
      this.#wanted = ms
      return
    }
    if (this.#next !== undefined) this.#background.agenda.cancel(this.#next)
    this.#next = this.#background.agenda.in(ms, this.#turn)
  }

  stop(): void {
    this.#stopped = true
    if (this.#next !== undefined) this.#background.agenda.cancel(this.#next)
  }

  readonly #turn = (): void => {
    this.#next = undefined
    this.#running = true
    void this.#background.run(async () => {
      if (this.#stopped) return
      const { clock } = this.#background
      const began = clock.now()
      await this.#work()
      this.#running = false
      const usual = this.#every * (1 - JITTER + 2 * JITTER * clock.random()) - (clock.now() - began)
      const wanted = this.#wanted
      this.#wanted = undefined
      this.again(Math.max(0, wanted ?? usual))
    })
  }
}
