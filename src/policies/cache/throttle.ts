import type { Clock } from '../../core/clock.js'

const FIRST = 1_000
const LONGEST = 30_000
/** Keys remembered at most; the oldest is forgotten first. */
const MOST = 1_000

/** After a failed load of a key the next try waits: 1 s, doubling to 30 s, with jitter. Stale values fill the gap. */
export class Throttle {
  readonly #clock: Clock
  readonly #keys = new Map<string, { until: number; wait: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  holds(key: string, now: number): boolean {
    if (this.#keys.size === 0) return false
    const kept = this.#keys.get(key)
    return kept !== undefined && now < kept.until
  }

  failed(key: string): void {
    const now = this.#clock.now()
    const kept = this.#keys.get(key)
    // Failures of calls that ran side by side are one.
    if (kept !== undefined && now < kept.until) return
    const wait = kept === undefined ? FIRST : Math.min(LONGEST, kept.wait * 2)
    if (kept === undefined && this.#keys.size >= MOST) this.#forgetOldest()
    this.#keys.set(key, { wait, until: now + wait * (0.8 + 0.4 * this.#clock.random()) })
  }

  succeeded(key: string): void {
    if (this.#keys.size > 0) this.#keys.delete(key)
  }

  #forgetOldest(): void {
    for (const key of this.#keys.keys()) {
      this.#keys.delete(key)
      return
    }
  }
}
