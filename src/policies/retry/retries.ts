import type { Call } from '../../core/call.js'
import type { Clock } from '../../core/clock.js'
import type { Recovery } from '../../core/guard.js'
import type { Tally } from '../../core/tally.js'
import { RetryBudget } from './budget.js'
import type { RetrySettings } from './retry-options.js'

/** What the operations of a dependency have in common for their retries; changed at run time. */
export class Retries {
  settings: RetrySettings
  readonly budget: RetryBudget
  readonly #clock: Clock
  readonly #available: () => boolean
  /** Whoever waits for its back-off to end; called, it looks whether there is still something to wait for. */
  readonly #waiting = new Set<() => void>()

  /** @param available whether the dependency is */
  constructor(clock: Clock, settings: RetrySettings, available: () => boolean) {
    this.#clock = clock
    this.settings = settings
    this.budget = new RetryBudget(clock, settings.budget)
    this.#available = available
  }

  /** @param begun attempts begun so far */
  configure(settings: RetrySettings, begun: number): void {
    this.settings = settings
    this.budget.configure(settings.budget, begun)
  }

  get available(): boolean {
    return this.#available()
  }

  /** The dependency is unavailable, or was closed: nobody need wait for another try. */
  dismiss(): void {
    for (const look of [...this.#waiting]) look()
  }

  /** The back-off; the token for the retry has been taken, and goes back if none is made. */
  wait(call: Call, ms: number, tally: Tally): Promise<Recovery> {
    const { life } = call.pipeline
    return new Promise((resolve) => {
      const end = (recovery: Recovery): void => {
        this.#clock.clearTimer(timer)
        this.#waiting.delete(look)
        call.onLeave = call.onOverdue = undefined
        if (recovery === false) this.budget.giveBack()
        else tally.add('retries', call.attempt)
        resolve(recovery)
      }
      const give = (): void => {
        end(false)
      }
      const may = (): boolean => this.available && !call.tooLate(this.#clock.now())
      const timer = this.#clock.setTimer(() => {
        end(life.closed !== undefined || may() ? 'again' : false)
      }, ms)
      const look = (): void => {
        // Once it is closed another attempt is what tells the caller so.
        if (life.closed !== undefined) end('again')
        else if (!this.available) give()
      }
      call.onLeave = call.onOverdue = give
      this.#waiting.add(look)
    })
  }
}
