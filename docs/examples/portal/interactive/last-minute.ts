import { goodWithin } from '../visitors/good-page.js'
import type { Visit } from '../../replay/visitors.js'

const length = 60

const secondOf = (time: number): number => Math.floor(time / 1_000)

/** How many visits of each second got a good page, over the last minute. */
export class LastMinute {
  readonly #first = secondOf(performance.now()) + 1
  readonly #good = new Map<number, number>()

  add({ at, good }: Visit): void {
    const second = secondOf(at)
    if (good) this.#good.set(second, (this.#good.get(second) ?? 0) + 1)
    this.#good.delete(second - 2 * length)
  }

  /** Oldest first. A second is told as soon as all its visits have had their time. */
  read(): number[] {
    const end = secondOf(performance.now() - goodWithin)
    const begin = Math.max(this.#first, end - length)
    return Array.from({ length: Math.max(0, end - begin) }, (_, index) => this.#good.get(begin + index) ?? 0)
  }
}
