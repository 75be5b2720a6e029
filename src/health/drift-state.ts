import { distance, rankOf, type Comparable } from '../core/comparable.js'
import { InvariantState, type Finding, type InvariantHost } from './invariant-state.js'
import type { Drift, Read } from './invariant-definition.js'

/** Two sources that must not be further apart than so much. Remembers nothing. */
export class DriftState extends InvariantState {
  readonly #definition: Drift

  constructor(host: InvariantHost, definition: Drift) {
    super(host, definition)
    this.#definition = definition
    this.timeout = definition.timeout
    this.every = definition.every
  }

  async poll(signal?: AbortSignal): Promise<Finding> {
    const { a, b, atMost } = this.#definition
    const both: Read<[Comparable, Comparable]> = (context) =>
      Promise.all([(async () => await a(context))(), (async () => await b(context))()])
    const [one, other] = await this.read(both, signal)
    const rank = rankOf(one)
    const otherRank = rankOf(other)
    if (rank === undefined) return this.notComparable(one)
    if (otherRank === undefined) return this.notComparable(other)
    if (rank.kind !== otherRank.kind)
      return this.violation(`the values are of two kinds (${rank.kind} and ${otherRank.kind})`)
    if (distance(rank, otherRank) <= atMost) return 'holds'
    return this.violation(`the values are more than ${atMost} apart (${rank.kind} and ${otherRank.kind})`)
  }
}
