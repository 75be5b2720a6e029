import type { Attempt } from '../core/attempt.js'
import { bound } from '../core/bound.js'
import type { Call } from '../core/call.js'
import type { Clock } from '../core/clock.js'
import { CACHES } from '../core/dump.js'
import { OptionError } from '../core/errors.js'
import type { Outcome, Recoverer } from '../core/guard.js'
import { group, parse } from '../core/options.js'
import type { PolicyHost, RecovererPolicy } from '../core/policy.js'
import { leave, tryOnce } from '../core/runner.js'
import type { OperationCache } from '../core/wrapped.js'
import {
  cacheEntries,
  cacheSettings,
  staleEntries,
  type CacheOptions,
  type CacheSettings,
  type StaleOptions,
} from './cache/cache-options.js'
import { Dumps } from './cache/dumps.js'
import { Flights } from './cache/flights.js'
import { KeyMaker } from './cache/key.js'
import { noSecondCounts, type SecondCounts } from './cache/second-host.js'
import { SecondLevel } from './cache/second-level.js'
import { READ_WITHIN, SecondStore } from './cache/second-store.js'
import { outranks, Store, type Entry, type Owner } from './cache/store.js'
import { Throttle } from './cache/throttle.js'
import { deepFreeze, singleUse } from './cache/value.js'

/** What the cache of one operation has done, by reason. */
export interface CacheCounts extends SecondCounts {
  /** Fresh values served. */
  fresh: number
  /** Stale values served. */
  stale: number
  /** Calls that joined another. */
  joined: number
  written: number
  /** Results dropped because a later call had written, or the key was deleted, after their call began. */
  older: number
  /** Results dropped because their `version` was lower than the one held. */
  olderVersion: number
  /** Values larger than `maxBytes`; the one held before is dropped too. */
  oversize: number
  /** Values that `cacheIf` declined. */
  declined: number
  /** Calls that passed the cache by because `key` or `scope` threw or gave no string. */
  keyErrors: number
}

/**
 * The last good answer, for when a live one can't be had (or, with `freshFor`, need not be). Idea: RFC 5861,
 * stale-while-revalidate and stale-if-error; here every value is served with its true age.
 */
export class StaleCache implements Recoverer, Owner {
  readonly kind = 'stale cache'
  /** What the wrapped operation shows as its `cache`. */
  readonly cache: OperationCache<unknown[]>
  fence = 0
  fencedAt = -Infinity
  clearedAt = -Infinity
  floor = -Infinity
  readonly counts: CacheCounts = {
    fresh: 0,
    stale: 0,
    joined: 0,
    written: 0,
    older: 0,
    olderVersion: 0,
    oversize: 0,
    declined: 0,
    keyErrors: 0,
    ...noSecondCounts(),
  }
  readonly #clock: Clock
  readonly #host: PolicyHost
  readonly #settings: CacheSettings
  readonly #store: Store
  readonly #keys: KeyMaker
  readonly #dumps: Dumps
  readonly #flights: Flights | undefined
  readonly #throttle: Throttle | undefined
  readonly #second: SecondLevel | undefined
  readonly #onOlderVersion: () => void
  #sequence = 0

  constructor(
    host: PolicyHost,
    settings: CacheSettings,
    store: Store,
    onOlderVersion: () => void,
    second?: SecondStore,
  ) {
    this.#host = host
    this.#clock = host.clock
    this.#settings = settings
    this.#store = store
    this.#onOlderVersion = onOlderVersion
    this.#keys = new KeyMaker(host.operation, settings.key, settings.scope)
    this.#dumps = this.#makeDumps()
    this.cache = this.#makeCache()
    if (settings.freshFor > 0) this.#throttle = new Throttle(host.clock)
    if (settings.coalesce) this.#flights = new Flights(host.index, (key) => this.#throttle?.failed(key))
    if (second !== undefined && (settings.scope === 'public' || settings.storePrivate))
      this.#second = this.#secondLevel(second)
  }

  answer(call: Call): Promise<unknown> | undefined {
    const key = this.#keyOf(call.args)
    if (key === undefined) return undefined
    call.key = key
    call.sequence = ++this.#sequence
    return this.#fromSecond(call, key) ?? this.#answer(call, key, call.began)
  }

  #answer(call: Call, key: string, now: number): Promise<unknown> | undefined {
    const { freshFor, staleFor } = this.#settings
    if (freshFor > 0) {
      const entry = this.#store.get(key)
      if (entry !== undefined) {
        const age = now - entry.startedAt
        if (!entry.expired && age < freshFor) {
          this.counts.fresh++
          this.#host.tally.add('fresh')
          call.serve(entry.value, 'fresh', age, false)
          return call.answered()
        }
        if (age < staleFor && this.#throttle!.holds(key, now) && !this.#host.trialDue()) {
          this.#serveStale(call, entry, age)
          return call.answered()
        }
      }
    }
    // With no time left nothing may start; what there is to serve is found on the ordinary way.
    if (call.tooLate(now)) return undefined
    return this.#flights?.join(call, key, () => {
      this.counts.joined++
      this.#host.tally.add('joins')
    })
  }

  recover(call: Call): boolean | Promise<boolean> {
    if (call.key === undefined) return false
    // A flight tells of its failures itself; this is a call that went alone.
    if (loadFailed(call.attempt)) this.#throttle?.failed(call.key)
    return this.#serveHeld(call, call.key) || this.#recoverFromSecond(call, call.key)
  }

  #serveHeld(call: Call, key: string): boolean {
    const entry = this.#store.get(key)
    if (entry === undefined) return false
    const age = this.#clock.now() - entry.startedAt
    if (age >= this.#settings.staleFor) return false
    this.#serveStale(call, entry, age)
    return true
  }

  /** Before a live call in read-through: with nothing of the key here, what another process has may be fresh. */
  #fromSecond(call: Call, key: string): Promise<unknown> | undefined {
    const { freshFor, staleFor } = this.#settings
    if (this.#second === undefined || freshFor === 0 || call.tooLate(call.began)) return undefined
    const entry = this.#store.get(key)
    if (entry !== undefined && call.began - entry.startedAt < staleFor) return undefined
    const wait = this.#waitForSecond(call, key)
    if (wait === undefined) return undefined
    const promise = call.open((reason) => {
      leave(call, reason)
    })
    const go = (): void => {
      if (!call.done && this.#answer(call, key, this.#clock.now()) === undefined) tryOnce(call)
    }
    wait.then(go).catch((error: unknown) => {
      this.#host.report(error)
      tryOnce(call)
    })
    return promise
  }

  #recoverFromSecond(call: Call, key: string): boolean | Promise<boolean> {
    if (call.remaining(this.#clock.now()) <= 0) return false
    const wait = this.#waitForSecond(call, key)
    return wait === undefined ? false : wait.then(() => !call.done && this.#serveHeld(call, key))
  }

  /** Until the second level has brought what it has, no longer than the call has time. Once in a call. */
  #waitForSecond(call: Call, key: string): Promise<void> | undefined {
    const read = call.asked ? undefined : this.#second?.read(key)
    if (read === undefined) return undefined
    call.asked = true
    const remaining = call.remaining(this.#clock.now())
    const wait = remaining < READ_WITHIN ? bound(this.#clock, read, remaining, () => undefined) : read
    if (!call.timedByRequest) return wait
    // At the end of the request there is no time for a timer.
    const overdue = new Promise<void>((resolve) => {
      call.onOverdue = () => {
        resolve()
      }
    })
    return Promise.race([wait, overdue]).finally(() => {
      call.onOverdue = undefined
    })
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

  settle(attempt: Attempt, outcome: Outcome): Error | undefined {
    const { key } = attempt.call
    if (key === undefined) return undefined
    if (outcome === 'success') return this.#keep(attempt, key)
    if (outcome === 'refused' || outcome === 'cancelled') return undefined
    // A value that was judged failed has no error to ask about.
    if (attempt.error !== undefined && this.#settings.evictOn(attempt.error)) this.#evict(key, attempt)
    return undefined
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
    this.#flights?.closeAll()
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
    const result = this.#store.write(this, key, value, attempt.startedAt, call.sequence, kept)
    if (result === 'written') {
      this.counts.written++
      this.#second?.changes.keep(key, value, attempt.startedAt, kept)
    } else {
      this.counts[result]++
      // What it held before is gone here, and must not come back from there.
      if (result === 'oversize') this.#second?.changes.delete(key, attempt.startedAt)
      if (result === 'olderVersion') this.#onOlderVersion()
    }
    return undefined
  }

  #delete(key: string): boolean {
    this.#flights?.close(key)
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
    this.#store.delete(key, { owner: this, sequence, startedAt })
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
      dump: (options) => dumps.dump(options),
      load: (dump) => dumps.load(dump),
      [CACHES]: { clock, background, sources: () => [dumps], report },
    }
  }

  #serveStale(call: Call, entry: Entry, age: number): void {
    this.counts.stale++
    this.#host.tally.add('stale')
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

/** Its operation ran and brought nothing good in its own time; one that was cut short has not failed. */
function loadFailed(attempt: Attempt | undefined): boolean {
  if (attempt === undefined) return false
  return attempt.phase === 'abandoned' ? attempt.cut === undefined : attempt.ran
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
