import type { Call, Pipeline } from '../../core/call.js'
import type { PolicyHost } from '../../core/policy.js'
import type { Refresh, RefreshOptions } from '../../core/wrapped.js'
import type { CacheCounts } from './counts.js'
import type { Flight } from './flight.js'
import type { Flights } from './flights.js'
import type { Owner } from './owner.js'
import { Refresher } from './refresher.js'
import type { Entry, Store } from './store.js'
import type { Throttle } from './throttle.js'

/** At this share of `freshFor`, give or take a tenth, a value that is read is loaded again. */
const AHEAD = 0.8
const JITTER = 0.1
/** So much later, as a share of `freshFor`, it is tried again when there was no room. */
const LATER = 0.05

/** What it needs of the cache. */
export interface Loads {
  readonly owner: Owner
  readonly store: Store
  readonly flights: Flights
  readonly throttle: Throttle | undefined
  readonly counts: CacheCounts
}

/** Loads that no caller waits for: ahead of a value's time, when it is read; and again and again, by a refresher. */
export class Behind {
  /** No value is loaded ahead before it is so old, ms. */
  readonly aheadFrom: number
  readonly #freshFor: number
  readonly #host: PolicyHost
  readonly #loads: Loads
  #refresher: Refresher | undefined

  constructor(host: PolicyHost, freshFor: number, loads: Loads) {
    this.#host = host
    this.#loads = loads
    this.#freshFor = freshFor
    this.aheadFrom = freshFor * AHEAD * (1 - JITTER)
  }

  /** A fresh value is read that may be about to become stale. */
  ahead(call: Call, key: string, entry: Entry, age: number): void {
    const { flights, throttle, counts } = this.#loads
    if (entry.aheadAt === 0)
      entry.aheadAt = this.#freshFor * AHEAD * (1 - JITTER + 2 * JITTER * this.#host.clock.random())
    if (age < entry.aheadAt || !this.#host.available() || throttle?.holds(key, call.began) === true) return
    if (flights.get(key) !== undefined) return
    if (flights.behind(call, key)?.refused === false) {
      counts.ahead++
      return
    }
    counts.skipped++
    entry.aheadAt = age + this.#freshFor * LATER
  }

  /** Keeps a key warm. */
  keep(pipeline: Pipeline, key: string, args: readonly unknown[], options: RefreshOptions): Refresh {
    const { store, counts } = this.#loads
    this.#refresher ??= new Refresher(this.#host, {
      holds: (wanted) => store.get(wanted) !== undefined,
      load: (call, wanted) => this.#load(call, wanted),
      skipped: () => {
        counts.skipped++
      },
    })
    return this.#refresher.add(key, { pipeline, args, ...options })
  }

  /** How often a key is refreshed, ms; undefined = it isn't. */
  every(key: string): number | undefined {
    return this.#refresher?.every(key)
  }

  #load(call: Call, key: string): Flight | undefined {
    const { flights, counts, owner } = this.#loads
    const flying = flights.get(key)
    if (flying !== undefined) return flying
    call.key = key
    call.sequence = ++owner.sequence
    call.shared = call.behind = true
    const flight = flights.takeOff(call, key)
    if (flight?.refused === false) counts.refreshed++
    return flight
  }
}
