import type { CacheCounts } from './counts.js'
import type { KeyMaker } from './key.js'

/** The keys of calls, whatever the functions do that name them: a call without one passes the cache by. */
export class CallKeys {
  readonly #maker: KeyMaker
  readonly #counts: CacheCounts
  readonly #report: (error: unknown) => void

  constructor(maker: KeyMaker, counts: CacheCounts, report: (error: unknown) => void) {
    this.#maker = maker
    this.#counts = counts
    this.#report = report
  }

  of(args: readonly unknown[]): string | undefined {
    try {
      return this.#maker.of(args)
    } catch (error) {
      this.#counts.keyErrors++
      this.#report(error)
      return undefined
    }
  }
}
