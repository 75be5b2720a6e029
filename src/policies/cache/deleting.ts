import type { Attempt } from '../../core/attempt.js'
import type { Clock } from '../../core/clock.js'
import type { CacheCounts } from './counts.js'
import type { Dumps } from './dumps.js'
import type { Flights } from './flights.js'
import type { Owner } from './owner.js'
import type { SecondChanges } from './second-changes.js'
import { outranks, type Store } from './store.js'

/** Every place that a value may be in, or come back from. */
export interface Holders {
  readonly owner: Owner
  readonly store: Store
  readonly flights: Flights
  readonly second: SecondChanges | undefined
  readonly dumps: Dumps
}

/** Takes values away for good, wherever they are. */
export class Deleting {
  readonly #clock: Clock
  readonly #holders: Holders
  readonly #counts: CacheCounts

  constructor(clock: Clock, holders: Holders, counts: CacheCounts) {
    this.#clock = clock
    this.#holders = holders
    this.#counts = counts
  }

  delete(key: string): boolean {
    const { owner, store, flights, second } = this.#holders
    flights.close(key)
    second?.delete(key)
    return store.delete(key, { owner, sequence: owner.sequence, startedAt: this.#changed() })
  }

  /** What is fresh becomes stale. */
  expire(key: string): boolean {
    const { store, second } = this.#holders
    const entry = store.get(key)
    if (entry !== undefined) {
      entry.expired = true
      this.#changed()
    }
    second?.expire(key)
    return entry !== undefined
  }

  clear(): void {
    const { owner, store, flights, second } = this.#holders
    flights.closeAll()
    store.clear(owner, owner.sequence, this.#changed())
    second?.clear()
  }

  /** The thing was gone when that call asked: what a later one brought stays. */
  evict(key: string, { call: { sequence }, startedAt }: Attempt): void {
    const { owner, store, second } = this.#holders
    second?.delete(key, startedAt)
    const entry = store.get(key)
    if (entry !== undefined && outranks(entry, sequence, startedAt)) return
    this.#changed()
    if (store.delete(key, { owner, sequence, startedAt })) this.#counts.evicted++
  }

  #changed(): number {
    return (this.#holders.dumps.changedAt = this.#clock.now())
  }
}
