import type { Clock } from '../../core/clock.js'

const FIRST = 1_000
const LONGEST = 30_000

/**
 * The second level's own circuit: the first failure opens it for 1 s, doubling to 30 s with jitter; then one trial at a
 * time says whether it closes.
 */
export class Pause {
  readonly #clock: Clock
  #wait = 0
  #until = 0
  #trying = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get open(): boolean {
    return this.#wait > 0
  }

  /** Ms until the next trial may run. */
  get dueIn(): number {
    return Math.max(0, this.#until - this.#clock.now())
  }

  /** Whoever is told `try` must say what came of it. */
  ask(): 'go' | 'skip' | 'try' {
    if (this.#wait === 0) return 'go'
    if (this.#trying || this.dueIn > 0) return 'skip'
    this.#trying = true
    return 'try'
  }

  passed(asked: 'go' | 'try'): void {
    // One that began before the failure says nothing of the time after it.
    if (asked === 'try') this.#end(0)
  }

  /** @returns whether anything has changed: failures side by side are one */
  failed(asked: 'go' | 'try'): boolean {
    if (asked === 'go' && this.#wait > 0) return false
    this.#end(this.#wait === 0 ? FIRST : Math.min(LONGEST, this.#wait * 2))
    this.#until = this.#clock.now() + this.#wait * (0.8 + 0.4 * this.#clock.random())
    return true
  }

  #end(wait: number): void {
    this.#trying = false
    this.#wait = wait
  }
}
