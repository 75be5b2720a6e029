import type { Call } from '../../core/call.js'
import { Deadlines } from '../../core/deadlines.js'
import type { PolicyHost } from '../../core/policy.js'
import { tryOnce } from '../../core/runner.js'
import type { Behind } from './behind.js'
import type { CacheSettings } from './cache-options.js'
import type { CallKeys } from './call-keys.js'
import type { Passenger } from './flight.js'
import type { Flights } from './flights.js'
import type { Owner } from './owner.js'
import type { SecondWait } from './second-wait.js'
import type { Serving } from './serving.js'
import type { Store } from './store.js'
import type { Throttle } from './throttle.js'

/** What stands in for a call of the caller's own. */
export interface LiveSources {
  readonly keys: CallKeys
  readonly owner: Owner
  readonly store: Store
  readonly wait: SecondWait | undefined
  readonly flights: Flights
  readonly throttle: Throttle | undefined
  readonly behind: Behind
}

/** Before a caller goes live: a value that is fresh, or does meanwhile, or another caller's call to join. */
export class LiveReader {
  /** In read-through only: a fresh value, before there is a record of the call. */
  readonly peek: ((args: readonly unknown[], now: number) => Promise<unknown> | undefined) | undefined
  readonly #host: PolicyHost
  readonly #settings: CacheSettings
  readonly #serving: Serving
  readonly #sources: LiveSources
  readonly #keys: CallKeys
  readonly #store: Store
  readonly #soft: Deadlines<Passenger> | undefined
  readonly #aheadFrom: number
  /** The arguments whose key is known since `peek`, so that nobody's `key` is asked twice. */
  #peeked: readonly unknown[] | undefined
  #peekedKey: string | undefined

  constructor(host: PolicyHost, settings: CacheSettings, serving: Serving, sources: LiveSources) {
    const { freshFor, softTimeout } = settings
    this.#host = host
    this.#settings = settings
    this.#serving = serving
    this.#sources = sources
    this.#keys = sources.keys
    this.#store = sources.store
    this.#aheadFrom = sources.behind.aheadFrom
    if (freshFor > 0) this.peek = (args, now) => this.#peek(args, now)
    if (softTimeout !== undefined) this.#soft = this.#softAfter(softTimeout)
  }

  answer(call: Call): Promise<unknown> | undefined {
    const key = call.args === this.#peeked ? this.#peekedKey : this.#keys.of(call.args)
    this.#peeked = undefined
    if (key === undefined) return undefined
    call.key = key
    call.sequence = ++this.#sources.owner.sequence
    return this.#fromSecond(call, key) ?? this.#answer(call, key, call.began)
  }

  #peek(args: readonly unknown[], now: number): Promise<unknown> | undefined {
    const key = this.#keys.of(args)
    const entry = key === undefined ? undefined : this.#store.get(key)
    if (entry !== undefined && !entry.expired) {
      const age = now - entry.startedAt
      if (age < this.#aheadFrom) {
        this.#serving.countFresh(age)
        return Promise.resolve(entry.value)
      }
    }
    this.#peeked = args
    this.#peekedKey = key
    return undefined
  }

  #answer(call: Call, key: string, now: number): Promise<unknown> | undefined {
    const { freshFor, staleFor, coalesce } = this.#settings
    const { flights, throttle, behind } = this.#sources
    let soft: Deadlines<Passenger> | undefined
    if (freshFor > 0 || this.#soft !== undefined) {
      const entry = this.#store.get(key)
      if (entry !== undefined) {
        const age = now - entry.startedAt
        if (!entry.expired && age < freshFor) {
          if (age >= this.#aheadFrom) behind.ahead(call, key, entry, age)
          return this.#serving.fresh(call, entry, age)
        }
        if (age < staleFor && throttle?.holds(key, now) === true && !this.#host.trialDue()) {
          this.#serving.stale(call, entry, age, 'staleThrottled')
          return call.answered()
        }
        // Without anything to serve by then there is no timer.
        if (this.#soft !== undefined && age + this.#soft.ms < staleFor) soft = this.#soft
      }
    }
    // With no time left nothing may start; what there is to serve is found on the ordinary way.
    if (call.tooLate(now)) return undefined
    const joined = coalesce ? flights.join(call, key, soft) : undefined
    return joined ?? (soft === undefined ? undefined : flights.alone(call, soft))
  }

  /** Before a live call in read-through: with nothing of the key here, what another process has may be fresh. */
  #fromSecond(call: Call, key: string): Promise<unknown> | undefined {
    const { wait } = this.#sources
    const { freshFor, staleFor } = this.#settings
    if (wait === undefined || freshFor === 0 || call.tooLate(call.began)) return undefined
    const entry = this.#store.get(key)
    if (entry !== undefined && call.began - entry.startedAt < staleFor) return undefined
    return wait.goOn(call, key, () => {
      if (this.#answer(call, key, this.#host.clock.now()) === undefined) tryOnce(call)
    })
  }

  #softAfter(ms: number): Deadlines<Passenger> {
    const soft = new Deadlines<Passenger>(this.#host.clock, ms, 'shared', ({ caller }) => {
      if (!caller.done && this.#serving.held(caller, 'staleSlow')) caller.succeed(caller.value)
    })
    this.#host.onClose(() => {
      soft.finish()
    })
    return soft
  }
}
