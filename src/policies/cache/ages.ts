import { bucketOf, bucketsUpTo, percentilesOf } from '../../core/histogram.js'
import type { ServedAges } from '../../core/wrapped.js'

/** Up to 2³⁵ ms (13 months). */
const BUCKETS = bucketsUpTo(35)

/** All that were served so far, in fixed memory (5 kB once the first has come) with an error of at most 3.2 %. */
export class Ages {
  #counts: Float64Array | undefined
  #served = 0
  #max = 0

  record(age: number): void {
    const counts = (this.#counts ??= new Float64Array(BUCKETS))
    counts[bucketOf(age, BUCKETS)]!++
    this.#served++
    if (age > this.#max) this.#max = age
  }

  /** Undefined before the first. */
  get served(): ServedAges | undefined {
    if (this.#counts === undefined) return undefined
    const max = this.#max
    const { p50, p95, p99 } = percentilesOf(this.#counts, this.#served)
    // The middle of the last bucket may lie beyond the oldest in it.
    return { p50: Math.min(p50, max), p95: Math.min(p95, max), p99: Math.min(p99, max), max }
  }
}
