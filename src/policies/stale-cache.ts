import type { Attempt } from '../core/attempt.js'
import type { Call, Pipeline } from '../core/call.js'
import type { Clock } from '../core/clock.js'
import { Deadlines } from '../core/deadlines.js'
import { OptionError, UnavailableError } from '../core/errors.js'
import type { Outcome, Recoverer } from '../core/guard.js'
import { group, parse } from '../core/options.js'
import type { PolicyHost, RecovererPolicy } from '../core/policy.js'
import { leave, recover } from '../core/runner.js'
import type { Keeper, OperationCache, Refresh, RefreshOptions } from '../core/wrapped.js'
import { Ages } from './cache/ages.js'
import { Behind } from './cache/behind.js'
import {
  cacheEntries,
  cacheSettings,
  staleEntries,
  type CacheOptions,
  type CacheSettings,
  type StaleOptions,
} from './cache/cache-options.js'
import { noCounts, reasonOf, type CacheCounts, type StaleReason } from './cache/counts.js'
import { loadFailed, type Passenger } from './cache/flight.js'
import { Flights } from './cache/flights.js'
import { KeyMaker } from './cache/key.js'
import { Store, type Entry, type Owner } from './cache/store.js'
import { Throttle } from './cache/throttle.js'
import { deepFreeze, singleUse } from './cache/value.js'

/**
 * The last good answer, for when a live one can't be had (or, with `freshFor`, need not be). Idea: RFC 5861,
 * stale-while-revalidate and stale-if-error; here every value is served with its true age.
 */
export class StaleCache implements Recoverer, Keeper, Owner {
  readonly kind = 'stale cache'
  /** Callers may go live; else all that they ever do is read. */
  readonly live: boolean
  /** What the wrapped operation shows as its `cache`. */
  readonly cache: OperationCache<unknown[]> = {
    delete: (...args) => this.#deleteFor(args),
    expire: (...args) => this.#expire(args),
    clear: () => {
      this.#clear()
    },
    counts: () => ({ ...this.counts }),
    ages: () => this.#ages.served,
  }
  fence = 0
  readonly counts: CacheCounts = noCounts()
  /** Looks at the second level again, behind, for a key that another process refreshes; set where there is one. */
  lookAgain: ((key: string) => void) | undefined
  /** In read-through only: a fresh value, before there is a record of the call. */
  readonly peek: ((args: readonly unknown[], now: number) => Promise<unknown> | undefined) | undefined
  readonly #clock: Clock
  readonly #host: PolicyHost
  readonly #settings: CacheSettings
  readonly #store: Store
  readonly #keys: KeyMaker
  readonly #flights: Flights
  readonly #ages = new Ages()
  readonly #soft: Deadlines<Passenger> | undefined
  readonly #throttle: Throttle | undefined
  readonly #behind: Behind
  readonly #onOlderVersion: () => void
  #sequence = 0
  /** The arguments whose key is known since `peek`, so that nobody's `key` is asked twice. */
  #peeked: readonly unknown[] | undefined
  #peekedKey: string | undefined

  constructor(host: PolicyHost, settings: CacheSettings, store: Store, onOlderVersion: () => void) {
    const { live, freshFor, softTimeout } = settings
    this.#host = host
    this.#clock = host.clock
    this.#settings = settings
    this.#store = store
    this.#onOlderVersion = onOlderVersion
    this.live = live
    this.#keys = new KeyMaker(host.operation, settings.key, settings.scope)
    if (freshFor > 0) this.#throttle = new Throttle(host.clock)
    if (freshFor > 0 && live) this.peek = (args, now) => this.#peek(args, now)
    if (softTimeout !== undefined) this.#soft = this.#softAfter(softTimeout)
    this.#flights = new Flights(
      host.index + 1,
      (key) => this.#throttle?.failed(key),
      () => {
        this.counts.joined++
        host.tally.add('joins')
      },
    )
    this.#behind = new Behind(host, freshFor, {
      store,
      flights: this.#flights,
      throttle: this.#throttle,
      counts: this.counts,
      nextSequence: () => ++this.#sequence,
    })
  }

  answer(call: Call): Promise<unknown> | undefined {
    const key = call.args === this.#peeked ? this.#peekedKey : this.#keyOf(call.args)
    this.#peeked = undefined
    if (!this.live) return this.#read(call, key)
    if (key === undefined) return undefined
    call.key = key
    call.sequence = ++this.#sequence
    const { freshFor, staleFor, coalesce } = this.#settings
    let soft: Deadlines<Passenger> | undefined
    if (freshFor > 0 || this.#soft !== undefined) {
      const entry = this.#store.get(key)
      if (entry !== undefined) {
        const age = call.began - entry.startedAt
        if (!entry.expired && age < freshFor) {
          if (age >= this.#behind.aheadFrom) this.#behind.ahead(call, key, entry, age)
          return this.#serveFresh(call, entry, age)
        }
        if (age < staleFor && this.#throttle?.holds(key, call.began) === true && !this.#host.trialDue()) {
          this.#serveStale(call, entry, age, 'staleThrottled')
          return call.answered()
        }
        // Without anything to serve by then there is no timer.
        if (this.#soft !== undefined && age + this.#soft.ms < staleFor) soft = this.#soft
      }
    }
    // With no time left nothing may start; what there is to serve is found on the ordinary way.
    if (call.tooLate(call.began)) return undefined
    const joined = coalesce ? this.#flights.join(call, key, soft) : undefined
    return joined ?? (soft === undefined ? undefined : this.#flights.alone(call, soft))
  }

  refresh(pipeline: Pipeline, args: readonly unknown[], options: RefreshOptions): Refresh {
    const key = this.#keyOf(args)
    if (key === undefined) throw new OptionError('refresh.args', 'are not cached: key or scope says so, or failed')
    return this.#behind.keep(pipeline, key, args, options)
  }

  recover(call: Call, error: unknown): boolean {
    if (call.key === undefined) return false
    // A flight tells of its failures itself; this is a call that went alone.
    if (loadFailed(call.attempt)) this.#throttle?.failed(call.key)
    if (this.#serveHeld(call, reasonOf(error))) return true
    this.counts.empty++
    return false
  }

  settle(attempt: Attempt, outcome: Outcome): Error | undefined {
    const { key } = attempt.call
    if (key === undefined) return undefined
    if (outcome === 'success') return this.#keep(attempt, key)
    if (outcome === 'refused' || outcome === 'cancelled') return undefined
    // A value that was judged failed has no error to ask about.
    if (attempt.error !== undefined && this.#settings.evictOn(attempt.error)) this.#evict(key, attempt.call.sequence)
    return undefined
  }

  #peek(args: readonly unknown[], now: number): Promise<unknown> | undefined {
    const key = this.#keyOf(args)
    const entry = key === undefined ? undefined : this.#store.get(key)
    if (entry !== undefined && !entry.expired) {
      const age = now - entry.startedAt
      if (age < this.#behind.aheadFrom) {
        this.#countFresh(age)
        return Promise.resolve(entry.value)
      }
    }
    this.#peeked = args
    this.#peekedKey = key
    return undefined
  }

  /** `live: false`: what a refresher has put there, or nothing. */
  #read(call: Call, key: string | undefined): Promise<unknown> {
    const entry = key === undefined ? undefined : this.#store.get(key)
    const age = entry === undefined ? Infinity : call.began - entry.startedAt
    const { freshFor, staleFor } = this.#settings
    if (entry === undefined || age >= staleFor) return this.#nothing(call)
    if (entry.every !== undefined && age > entry.every) this.lookAgain?.(key!)
    if (!entry.expired && age < freshFor) return this.#serveFresh(call, entry, age)
    this.#serveStale(call, entry, age, 'staleOffline')
    return call.answered()
  }

  /** No call is made for it; a fallback further out may have something. */
  #nothing(call: Call): Promise<unknown> {
    this.counts.empty++
    const { dependency, operation, index } = this.#host
    const promise = call.open((reason) => {
      leave(call, reason)
    })
    const text = `${dependency} (${operation}): nothing has been put there to read, and with live: false nobody calls`
    recover(call, new UnavailableError(text, { dependency }), index - 1)
    return promise
  }

  #softAfter(ms: number): Deadlines<Passenger> {
    const soft = new Deadlines<Passenger>(this.#clock, ms, 'shared', ({ caller }) => {
      if (!caller.done && this.#serveHeld(caller, 'staleSlow')) caller.succeed(caller.value)
    })
    this.#host.onClose(() => {
      soft.finish()
    })
    return soft
  }

  #deleteFor(args: readonly unknown[]): boolean {
    const key = this.#keyOf(args)
    return key === undefined ? false : this.#delete(key)
  }

  #expire(args: readonly unknown[]): boolean {
    const key = this.#keyOf(args)
    const entry = key === undefined ? undefined : this.#store.get(key)
    if (entry !== undefined) entry.expired = true
    return entry !== undefined
  }

  #clear(): void {
    this.#flights.closeAll()
    this.#store.clear(this, this.#sequence)
  }

  #keep(attempt: Attempt, key: string): Error | undefined {
    const { value, call } = attempt
    const once = singleUse(value)
    if (once !== undefined)
      return new OptionError(
        `${this.#host.operation}.key`,
        `a result that is cached must not be ${once}: read it first`,
      )
    this.#throttle?.succeeded(key)
    const { cacheIf, version, freeze } = this.#settings
    if (cacheIf !== undefined && !cacheIf(value as never, ...(call.args as never[]))) {
      this.counts.declined++
      return undefined
    }
    if (freeze) deepFreeze(value)
    const kept = version === undefined ? undefined : version(value as never)
    const every = this.#behind.every(key)
    const result = this.#store.write(this, key, value, attempt.startedAt, call.sequence, kept, every)
    if (result === 'written') this.counts.written++
    else {
      this.counts[result]++
      if (result === 'olderVersion') this.#onOlderVersion()
    }
    return undefined
  }

  #delete(key: string): boolean {
    this.#flights.close(key)
    return this.#store.delete(key, { owner: this, sequence: this.#sequence })
  }

  /** The thing was gone when that call asked: what a later one brought stays. */
  #evict(key: string, sequence: number): void {
    const entry = this.#store.get(key)
    if (entry !== undefined && entry.sequence >= sequence) return
    if (this.#store.delete(key, { owner: this, sequence })) this.counts.evicted++
  }

  #serveFresh(call: Call, entry: Entry, age: number): Promise<unknown> {
    this.#countFresh(age)
    call.serve(entry.value, 'fresh', age, false)
    return call.answered()
  }

  #countFresh(age: number): void {
    this.counts.fresh++
    this.#host.tally.fresh()
    this.#ages.record(age)
  }

  #serveHeld(call: Call, why: StaleReason): boolean {
    const entry = this.#store.get(call.key!)
    if (entry === undefined) return false
    const age = this.#clock.now() - entry.startedAt
    if (age >= this.#settings.staleFor) return false
    this.#serveStale(call, entry, age, why)
    return true
  }

  #serveStale(call: Call, entry: Entry, age: number, why: StaleReason): void {
    this.counts.stale++
    this.counts[why]++
    this.#host.tally.add('stale')
    this.#ages.record(age)
    call.serve(entry.value, 'stale', age, entry.expired || age >= this.#settings.freshFor)
  }

  #keyOf(args: readonly unknown[]): string | undefined {
    try {
      return this.#keys.of(args)
    } catch (error) {
      this.counts.keyErrors++
      this.#host.report(error)
      return undefined
    }
  }
}

const schema = group({ ...staleEntries, ...cacheEntries })

/**
 * For `compose`: keeps the last good answers of the operation, and serves them when a live one can't be had.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * compose([staleCache({ key: (id: string) => id, scope: 'public' })], [timeout(500)])(load)
 */
export function staleCache<A extends unknown[], R>(options: StaleOptions & CacheOptions<A, R>): RecovererPolicy {
  const given = parse(schema, options, 'staleCache')
  const { max = 1_000, maxBytes, sizeOf, ...own } = given
  const settings = cacheSettings({ ...own, key: given.key }, {}, 'staleCache')
  if (settings === undefined) throw new OptionError('staleCache.key', 'is required')
  return {
    role: 'recoverer',
    kind: 'stale cache',
    make: (host) => new StaleCache(host, settings, new Store({ max, maxBytes, sizeOf }), () => undefined),
  }
}
