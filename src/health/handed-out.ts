import type { Rank } from '../core/comparable.js'

type Place = Rank['at']

/** How far it is known that values were handed out. */
export interface Mark {
  readonly epoch: number
  /** The value itself was handed out, and not only seen (a sequence's next number may still be handed out). */
  readonly given: boolean
  readonly token: { readonly at: Place } | undefined
}

/** Values remembered before those that no call needs any more are looked for. */
const FEW = 64
/** The most that are remembered, however long a call hangs. */
const MOST = 10_000

/** One call in flight. */
export interface Ticket {
  /** What was known when it started. */
  readonly start: Mark
  /** Up to here it is no longer known which values were handed out since. */
  floor: Mark
}

/**
 * `below`: not above what was handed out before the call started; `again`: handed out since; `unknown`: may have been
 * handed out since, but the call took so long that this was forgotten.
 */
export type Judgement = 'new' | 'below' | 'again' | 'unknown'

function isAbove(at: Place, { token, given }: Mark): boolean {
  return token === undefined || at > token.at || (!given && at === token.at)
}

/**
 * Which values have been handed out since the oldest call in flight started. Results of concurrent calls come in any
 * order, so the highest value alone doesn't tell a late one from a second one.
 */
export class HandedOut {
  /** In order of their start, and so of their floors, which never fall within an epoch. */
  readonly #inFlight = new Set<Ticket>()
  readonly #values = new Set<Place>()
  #epoch = 0
  #sweepAt = FEW

  /** How many values it remembers. */
  get size(): number {
    return this.#values.size
  }

  begin(known: Mark): Ticket {
    if (known.epoch !== this.#epoch) {
      this.#epoch = known.epoch
      this.#inFlight.clear()
      this.#forgetAll()
    }
    const ticket = { start: known, floor: known }
    this.#inFlight.add(ticket)
    return ticket
  }

  end(ticket: Ticket): void {
    this.#inFlight.delete(ticket)
    if (this.#inFlight.size === 0) this.#forgetAll()
  }

  /** Judges what a call brought, of the epoch of the last that began. A new value counts as handed out from now on. */
  judge(ticket: Ticket, at: Place): Judgement {
    if (!isAbove(at, ticket.start)) return 'below'
    if (!isAbove(at, ticket.floor)) return 'unknown'
    if (this.#values.has(at)) return 'again'
    this.#values.add(at)
    if (this.#values.size > this.#sweepAt) this.#sweep()
    return 'new'
  }

  #forgetAll(): void {
    this.#values.clear()
    this.#sweepAt = FEW
  }

  /** Forgets what no call in flight can bring again. */
  #sweep(): void {
    const [oldest] = this.#inFlight
    if (oldest !== undefined) this.#forgetTo(oldest.floor)
    if (this.#values.size > MOST / 2) this.#raiseFloors()
    // Twice what is left, so that sweeping costs each value little.
    this.#sweepAt = Math.max(FEW, 2 * this.#values.size)
  }

  /** The lower half is forgotten, at the cost of the calls that started before it. */
  #raiseFloors(): void {
    const sorted = [...this.#values].sort((a, b) => (a < b ? -1 : 1))
    const at = sorted[sorted.length >> 1]!
    const floor = { epoch: this.#epoch, given: true, token: { at } }
    for (const ticket of this.#inFlight) {
      if (!isAbove(at, ticket.floor)) break
      ticket.floor = floor
    }
    this.#forgetTo(floor)
  }

  #forgetTo(floor: Mark): void {
    for (const at of this.#values) if (!isAbove(at, floor)) this.#values.delete(at)
  }
}
