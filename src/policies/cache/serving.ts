import type { Call } from '../../core/call.js'
import type { PolicyHost } from '../../core/policy.js'
import type { ServedAges } from '../../core/wrapped.js'
import { Ages } from './ages.js'
import type { CacheSettings } from './cache-options.js'
import { noCounts, type CacheCounts, type StaleReason } from './counts.js'
import type { Entry, Store } from './store.js'

/** Serves what is held, each value with its true age, and counts what was served and why. */
export class Serving {
  readonly counts: CacheCounts = noCounts()
  readonly #host: PolicyHost
  readonly #settings: CacheSettings
  readonly #store: Store
  readonly #ages = new Ages()

  constructor(host: PolicyHost, settings: CacheSettings, store: Store) {
    this.#host = host
    this.#settings = settings
    this.#store = store
  }

  get ages(): ServedAges | undefined {
    return this.#ages.served
  }

  fresh(call: Call, entry: Entry, age: number): Promise<unknown> {
    this.countFresh(age)
    call.serve(entry.value, { source: 'fresh', stale: false, age })
    return call.answered()
  }

  countFresh(age: number): void {
    this.counts.fresh++
    this.#host.tally.fresh()
    this.#ages.record(age)
  }

  stale(call: Call, entry: Entry, age: number, why: StaleReason): void {
    this.counts.stale++
    this.counts[why]++
    this.#host.tally.add('stale')
    this.#ages.record(age)
    call.serve(entry.value, { source: 'stale', stale: entry.expired || age >= this.#settings.freshFor, age })
  }

  /** @returns whether there was a value that may still be served */
  held(call: Call, why: StaleReason): boolean {
    const entry = this.#store.get(call.key!)
    if (entry === undefined) return false
    const age = this.#host.clock.now() - entry.startedAt
    if (age >= this.#settings.staleFor) return false
    this.stale(call, entry, age, why)
    return true
  }

  nothing(): false {
    this.counts.empty++
    return false
  }
}
