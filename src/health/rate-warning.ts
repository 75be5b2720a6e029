import { backgroundTimer, type Clock, type Timer } from '../core/clock.js'
import type { Warnings } from './warnings.js'
import type { Figures } from './window.js'

/** Cleared below this share of the level at which it is raised. */
const CLEAR = 0.5

/**
 * The level below the trip level: 20 % failing for minutes flips nothing and must be seen all the same. Raised when the
 * failure rate reaches the level, cleared when it has been below half of it for as long as the window reaches back.
 * A timer runs only while it stands.
 */
export class RateWarning {
  readonly #clock: Clock
  readonly #warnings: Warnings
  readonly #figures: (now: number) => Readonly<Figures>
  /** The level, the least number of calls, and how long it must have been below, ms. */
  rule: { readonly warnRate: number; readonly minimumCalls: number; readonly dwell: number }
  #below: number | undefined
  #timer: Timer | undefined
  #stopped = false

  constructor(
    clock: Clock,
    warnings: Warnings,
    figures: (now: number) => Readonly<Figures>,
    rule: { warnRate: number; minimumCalls: number; dwell: number },
  ) {
    this.#clock = clock
    this.#warnings = warnings
    this.#figures = figures
    this.rule = rule
  }

  /** After a failed call. */
  look(now: number): void {
    if (this.#timer !== undefined || this.#stopped) return
    const { calls, failures } = this.#figures(now)
    const { warnRate, minimumCalls } = this.rule
    if (warnRate >= 1 || calls < minimumCalls || failures < warnRate * calls) return
    this.#below = undefined
    this.#warnings.raise('failures', `${failures} of ${calls} calls failed (warns at ${warnRate})`, this.#clock.wall())
    this.#arm()
  }

  /** For good. */
  stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer)
    this.#timer = undefined
    this.#stopped = true
  }

  readonly #again = (): void => {
    const now = this.#clock.now()
    const { calls, failures } = this.#figures(now)
    if (failures < this.rule.warnRate * CLEAR * calls || calls === 0) this.#below ??= now
    else this.#below = undefined
    this.#timer = undefined
    if (this.#below !== undefined && now - this.#below >= this.rule.dwell) this.#warnings.clear('failures')
    else this.#arm()
  }

  #arm(): void {
    this.#timer = backgroundTimer(this.#clock, this.#again, this.rule.dwell / 4)
  }
}
