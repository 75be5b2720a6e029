import type { Attempt } from '../core/attempt.js'
import type { Call, Pipeline } from '../core/call.js'
import type { Clock } from '../core/clock.js'
import { Deadlines } from '../core/deadlines.js'
import { CACHES } from '../core/dump.js'
import { OptionError, UnavailableError } from '../core/errors.js'
import type { Outcome, Recoverer } from '../core/guard.js'
import { group, parse } from '../core/options.js'
import type { PolicyHost, RecovererPolicy } from '../core/policy.js'
import { departed, recover, tryOnce } from '../core/runner.js'
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
import { Dumps } from './cache/dumps.js'
import { loadFailed, type Passenger } from './cache/flight.js'
import { Flights } from './cache/flights.js'
import { KeyMaker } from './cache/key.js'
import { SecondLevel } from './cache/second-level.js'
import { SecondStore } from './cache/second-store.js'
import { waitForSecond } from './cache/second-wait.js'
import { outranks, Store, type Entry, type Owner } from './cache/store.js'
import { Throttle } from './cache/throttle.js'
import { deepFreeze, singleUse } from './cache/value.js'

/** What another process refreshes is looked for again after this share of the time in which it does so. */
const LOOK_AGAIN = 0.1

/**
 * The last good answer, for when a live one can't be had (or, with `freshFor`, need not be). Idea: RFC 5861,
 * stale-while-revalidate and stale-if-error; here every value is served with its true age.
 */
export class StaleCache implements Recoverer, Keeper, Owner {
  readonly kind = 'stale cache'
  /** Callers may go live; else all that they ever do is read. */
  readonly live: boolean
  /** What the wrapped operation shows as its `cache`. */
  readonly cache: OperationCache<unknown[]>
  fence = 0
  fencedAt = -Infinity
  clearedAt = -Infinity
  floor = -Infinity
  readonly counts: CacheCounts = noCounts()
  /** In read-through only: a fresh value, before there is a record of the call. */
  readonly peek: ((args: readonly unknown[], now: number) => Promise<unknown> | undefined) | undefined
  readonly #clock: Clock
  readonly #host: PolicyHost
  readonly #settings: CacheSettings
  readonly #store: Store
  readonly #keys: KeyMaker
  readonly #dumps: Dumps
  readonly #second: SecondLevel | undefined
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

  constructor(
    host: PolicyHost,
    settings: CacheSettings,
    store: Store,
    onOlderVersion: () => void,
    second?: SecondStore,
  ) {
    const { live, freshFor, softTimeout } = settings
    this.#host = host
    this.#clock = host.clock
    this.#settings = settings
    this.#store = store
    this.#onOlderVersion = onOlderVersion
    this.live = live
    this.#keys = new KeyMaker(host.operation, settings.key, settings.scope)
    this.#dumps = this.#makeDumps()
    this.cache = this.#makeCache()
    if (second !== undefined && (settings.scope === 'public' || settings.storePrivate))
      this.#second = this.#secondLevel(second)
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
    return this.#fromSecond(call, key) ?? this.#answer(call, key, call.began)
  }

  #answer(call: Call, key: string, now: number): Promise<unknown> | undefined {
    const { freshFor, staleFor, coalesce } = this.#settings
    let soft: Deadlines<Passenger> | undefined
    if (freshFor > 0 || this.#soft !== undefined) {
      const entry = this.#store.get(key)
      if (entry !== undefined) {
        const age = now - entry.startedAt
        if (!entry.expired && age < freshFor) {
          if (age >= this.#behind.aheadFrom) this.#behind.ahead(call, key, entry, age)
          return this.#serveFresh(call, entry, age)
        }
        if (age < staleFor && this.#throttle?.holds(key, now) === true && !this.#host.trialDue()) {
          this.#serveStale(call, entry, age, 'staleThrottled')
          return call.answered()
        }
        // Without anything to serve by then there is no timer.
        if (this.#soft !== undefined && age + this.#soft.ms < staleFor) soft = this.#soft
      }
    }
    // With no time left nothing may start; what there is to serve is found on the ordinary way.
    if (call.tooLate(now)) return undefined
    const joined = coalesce ? this.#flights.join(call, key, soft) : undefined
    return joined ?? (soft === undefined ? undefined : this.#flights.alone(call, soft))
  }

  refresh(pipeline: Pipeline, args: readonly unknown[], options: RefreshOptions): Refresh {
    const key = this.#keyOf(args)
    if (key === undefined) throw new OptionError('refresh.args', 'are not cached: key or scope says so, or failed')
    return this.#behind.keep(pipeline, key, args, options)
  }

  recover(call: Call, error: unknown): boolean | Promise<boolean> {
    const { key } = call
    if (key === undefined) return false
    // A flight tells of its failures itself; this is a call that went alone.
    if (loadFailed(call.attempt)) this.#throttle?.failed(key)
    const why = reasonOf(error)
    if (this.#serveHeld(call, why)) return true
    const { clock } = this.#host
    const wait = call.remaining(clock.now()) <= 0 ? undefined : waitForSecond(this.#second, call, key, clock)
    if (wait === undefined) return this.#foundNothing()
    return wait.then(() => !call.done && (this.#serveHeld(call, why) || this.#foundNothing()))
  }

  settle(attempt: Attempt, outcome: Outcome): Error | undefined {
    const { key } = attempt.call
    if (key === undefined) return undefined
    if (outcome === 'success') return this.#keep(attempt, key)
    if (outcome === 'refused' || outcome === 'cancelled') return undefined
    // A value that was judged failed has no error to ask about.
    if (attempt.error !== undefined && this.#settings.evictOn(attempt.error)) this.#evict(key, attempt)
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

  /** Before a live call in read-through: with nothing of the key here, what another process has may be fresh. */
  #fromSecond(call: Call, key: string): Promise<unknown> | undefined {
    const { freshFor, staleFor } = this.#settings
    if (this.#second === undefined || freshFor === 0 || call.tooLate(call.began)) return undefined
    const entry = this.#store.get(key)
    if (entry !== undefined && call.began - entry.startedAt < staleFor) return undefined
    return this.#afterSecond(call, key, () => {
      if (this.#answer(call, key, this.#clock.now()) === undefined) tryOnce(call)
    })
  }

  /** Goes on with the call once the second level has brought what it has; undefined when there is nothing to wait for. */
  #afterSecond(call: Call, key: string, go: () => void): Promise<unknown> | undefined {
    const wait = waitForSecond(this.#second, call, key, this.#clock)
    if (wait === undefined) return undefined
    const promise = call.open(departed)
    wait
      .then(() => {
        if (!call.done) go()
      })
      .catch((error: unknown) => {
        this.#host.report(error)
        recover(call, error, this.#host.index - 1)
      })
    return promise
  }

  /** `live: false`: what a refresher has put there, or nothing. */
  #read(call: Call, key: string | undefined): Promise<unknown> {
    if (key === undefined) return this.#nothing(call)
    call.key = key
    return (
      this.#readHeld(call, key) ??
      this.#afterSecond(call, key, () => {
        if (this.#readHeld(call, key) === undefined) void this.#nothing(call)
      }) ??
      this.#nothing(call)
    )
  }

  #readHeld(call: Call, key: string): Promise<unknown> | undefined {
    const entry = this.#store.get(key)
    if (entry === undefined) return undefined
    const age = this.#clock.now() - entry.startedAt
    const { freshFor, staleFor } = this.#settings
    if (age >= staleFor) return undefined
    if (entry.every !== undefined && age > entry.every) this.#lookAgain(key, entry, age, entry.every)
    if (!entry.expired && age < freshFor) return this.#serveFresh(call, entry, age)
    this.#serveStale(call, entry, age, 'staleOffline')
    return call.answered()
  }

  /** Behind its readers, once in a tenth of the time in which another process brings a new one. */
  #lookAgain(key: string, entry: Entry, age: number, every: number): void {
    if (age < entry.aheadAt) return
    entry.aheadAt = age + every * LOOK_AGAIN
    void this.#second?.read(key)
  }

  #foundNothing(): false {
    this.counts.empty++
    return false
  }

  /** No call is made for it; a fallback further out may have something. */
  #nothing(call: Call): Promise<unknown> {
    this.#foundNothing()
    const { dependency, operation, index } = this.#host
    const promise = call.promise ?? call.open(departed)
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
    if (entry !== undefined) {
      entry.expired = true
      this.#dumps.changedAt = this.#clock.now()
    }
    if (key !== undefined) this.#second?.changes.expire(key)
    return entry !== undefined
  }

  #clear(): void {
    this.#flights.closeAll()
    const now = (this.#dumps.changedAt = this.#clock.now())
    this.#store.clear(this, this.#sequence, now)
    this.#second?.changes.clear()
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
    if (result === 'written') {
      this.counts.written++
      this.#second?.changes.keep(key, value, attempt.startedAt, kept, every)
    } else {
      this.counts[result]++
      // What it held before is gone here, and must not come back from there.
      if (result === 'oversize') this.#second?.changes.delete(key, attempt.startedAt)
      if (result === 'olderVersion') this.#onOlderVersion()
    }
    return undefined
  }

  #delete(key: string): boolean {
    this.#flights.close(key)
    this.#second?.changes.delete(key)
    const now = (this.#dumps.changedAt = this.#clock.now())
    return this.#store.delete(key, { owner: this, sequence: this.#sequence, startedAt: now })
  }

  /** The thing was gone when that call asked: what a later one brought stays. */
  #evict(key: string, { call: { sequence }, startedAt }: Attempt): void {
    this.#second?.changes.delete(key, startedAt)
    const entry = this.#store.get(key)
    if (entry !== undefined && outranks(entry, sequence, startedAt)) return
    this.#dumps.changedAt = this.#clock.now()
    if (this.#store.delete(key, { owner: this, sequence, startedAt })) this.counts.evicted++
  }

  #makeDumps(): Dumps {
    const { clock, dependency, operation } = this.#host
    const { scope, staleFor, freeze } = this.#settings
    return new Dumps({
      clock,
      dependency,
      operation,
      scope: scope === 'public' ? scope : 'private',
      staleFor,
      freeze,
      owner: this,
      store: this.#store,
      keys: this.#keys,
      sequence: () => this.#sequence,
    })
  }

  #makeCache(): OperationCache<unknown[]> {
    const dumps = this.#dumps
    const { clock, background, report } = this.#host
    return {
      delete: (...args) => this.#deleteFor(args),
      expire: (...args) => this.#expire(args),
      clear: () => {
        this.#clear()
      },
      counts: () => ({ ...this.counts }),
      ages: () => this.#ages.served,
      dump: (options) => dumps.dump(options),
      load: (dump) => dumps.load(dump),
      [CACHES]: { clock, background, sources: () => [dumps], report },
    }
  }

  #secondLevel(store: SecondStore): SecondLevel {
    const { clock, dependency, operation } = this.#host
    const { staleFor, freeze } = this.#settings
    return new SecondLevel(
      {
        clock,
        dependency,
        operation,
        staleFor,
        counts: this.counts,
        arrived: (key, arrival) => {
          if (freeze) deepFreeze(arrival.value)
          this.#store.admit(this, key, arrival)
        },
        olderVersion: this.#onOlderVersion,
      },
      store,
    )
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
  const { max = 1_000, maxBytes, sizeOf, store, ...own } = given
  const settings = cacheSettings({ ...own, key: given.key }, {}, 'staleCache')
  if (settings === undefined) throw new OptionError('staleCache.key', 'is required')
  const names = new Set<string>()
  return {
    role: 'recoverer',
    kind: 'stale cache',
    make: (host) => {
      const first = new Store({ max, maxBytes, sizeOf })
      const second = store === undefined ? undefined : SecondStore.of(host.clock, store)
      if (second !== undefined) {
        if (!host.named || names.has(host.operation))
          throw new OptionError('compose.name', 'is required with a second-level store, for each operation its own')
        names.add(host.operation)
        second.listen(host.report)
      }
      return new StaleCache(host, settings, first, () => undefined, second)
    },
  }
}
