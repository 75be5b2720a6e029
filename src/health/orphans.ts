import { backgroundTimer, type Clock, type Timer } from '../core/clock.js'

/** How long a parent may take to be registered before that is a warning, ms: an app is built in any order. */
const GRACE = 10_000

/**
 * Who depends on a name that nobody has registered. It may come later; but one that is misspelled never comes, and its
 * child would be thought guarded. One timer for all, and only while a name is awaited.
 */
export class Orphans {
  readonly #clock: Clock
  readonly #tell: (child: string, missing: readonly string[]) => void
  readonly #awaiting = new Map<string, readonly string[]>()
  readonly #told = new Set<string>()
  #timer: Timer | undefined

  /** @param tell with what is missing, once the time is over; with nothing when all has come that was told of */
  constructor(clock: Clock, tell: (child: string, missing: readonly string[]) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  /** @param missing those of its parents that nobody has registered yet */
  look(child: string, missing: readonly string[]): void {
    if (this.#told.has(child)) {
      if (missing.length === 0) this.#told.delete(child)
      this.#tell(child, missing)
    } else if (missing.length > 0) {
      this.#awaiting.set(child, missing)
      this.#timer ??= backgroundTimer(this.#clock, this.#fire, GRACE)
    } else if (this.#awaiting.delete(child) && this.#awaiting.size === 0) this.stop()
  }

  stop(): void {
    if (this.#timer !== undefined) this.#clock.clearTimer(this.#timer)
    this.#timer = undefined
  }

  readonly #fire = (): void => {
    this.#timer = undefined
    for (const [child, missing] of this.#awaiting) {
      this.#told.add(child)
      this.#tell(child, missing)
    }
    this.#awaiting.clear()
  }
}
