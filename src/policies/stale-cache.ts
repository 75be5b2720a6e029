import type { Attempt } from '../core/attempt.js'
import type { Call, Pipeline } from '../core/call.js'
import { OptionError } from '../core/errors.js'
import type { Outcome, Recoverer } from '../core/guard.js'
import { group, parse } from '../core/options.js'
import type { PolicyHost, RecovererPolicy } from '../core/policy.js'
import type { Keeper, OperationCache, Refresh, RefreshOptions } from '../core/wrapped.js'
import { Behind } from './cache/behind.js'
import {
  cacheEntries,
  cacheSettings,
  staleEntries,
  type CacheOptions,
  type CacheSettings,
  type StaleOptions,
} from './cache/cache-options.js'
import { CallKeys } from './cache/call-keys.js'
import { reasonOf } from './cache/counts.js'
import { Deleting } from './cache/deleting.js'
import { Dumps } from './cache/dumps.js'
import { loadFailed } from './cache/flight.js'
import { Flights } from './cache/flights.js'
import { Keeping } from './cache/keeping.js'
import { KeyMaker } from './cache/key.js'
import { LiveReader } from './cache/live-reader.js'
import { OfflineReader } from './cache/offline-reader.js'
import { operationCache } from './cache/operation-cache.js'
import { Owner } from './cache/owner.js'
import { SecondLevel } from './cache/second-level.js'
import { SecondStore } from './cache/second-store.js'
import { SecondWait } from './cache/second-wait.js'
import { Serving } from './cache/serving.js'
import { Store } from './cache/store.js'
import { Throttle } from './cache/throttle.js'
import { deepFreeze } from './cache/value.js'

/**
 * The last good answer, for when a live one can't be had (or, with `freshFor`, need not be). Idea: RFC 5861,
 * stale-while-revalidate and stale-if-error; here every value is served with its true age.
 */
export class StaleCache implements Recoverer, Keeper {
  readonly kind = 'stale cache'
  /** Callers may go live; else all that they ever do is read. */
  readonly live: boolean
  /** What the wrapped operation shows as its `cache`. */
  readonly cache: OperationCache<unknown[]>
  /** In read-through only: a fresh value, before there is a record of the call. */
  readonly peek: ((args: readonly unknown[], now: number) => Promise<unknown> | undefined) | undefined
  readonly #keys: CallKeys
  readonly #serving: Serving
  readonly #reader: LiveReader | OfflineReader
  readonly #keeping: Keeping
  readonly #behind: Behind
  readonly #throttle: Throttle | undefined
  readonly #wait: SecondWait | undefined

  constructor(
    host: PolicyHost,
    settings: CacheSettings,
    store: Store,
    onOlderVersion: () => void,
    secondStore?: SecondStore,
  ) {
    const { clock, operation } = host
    const { live, freshFor } = settings
    const owner = new Owner()
    const serving = (this.#serving = new Serving(host, settings, store))
    const { counts } = serving
    const maker = new KeyMaker(operation, settings.key, settings.scope)
    const keys = (this.#keys = new CallKeys(maker, counts, host.report))
    const dumps = dumpsOf(host, settings, owner, store, maker)
    const level = secondLevel(host, settings, secondStore, serving, onOlderVersion, owner, store)
    const wait = (this.#wait = level === undefined ? undefined : new SecondWait(host, level))
    const throttle = (this.#throttle = freshFor > 0 ? new Throttle(clock) : undefined)
    const flights = new Flights(
      host.index + 1,
      (key) => throttle?.failed(key),
      () => {
        counts.joined++
        host.tally.add('joins')
      },
    )
    const behind = (this.#behind = new Behind(host, freshFor, { owner, store, flights, throttle, counts }))
    const second = level?.changes
    const deleting = new Deleting(clock, { owner, store, flights, second, dumps }, counts)
    const parts = { operation, owner, store, second, throttle, behind, deleting, counts, onOlderVersion }
    this.#keeping = new Keeping(settings, parts)
    this.cache = operationCache(host, keys, serving, deleting, dumps)
    this.live = live
    if (live) {
      const reader = new LiveReader(host, settings, serving, { keys, owner, store, wait, flights, throttle, behind })
      this.#reader = reader
      this.peek = reader.peek
    } else this.#reader = new OfflineReader(host, settings, serving, { keys, store, second: level, wait })
  }

  answer(call: Call): Promise<unknown> | undefined {
    return this.#reader.answer(call)
  }

  refresh(pipeline: Pipeline, args: readonly unknown[], options: RefreshOptions): Refresh {
    const key = this.#keys.of(args)
    if (key === undefined) throw new OptionError('refresh.args', 'are not cached: key or scope says so, or failed')
    return this.#behind.keep(pipeline, key, args, options)
  }

  recover(call: Call, error: unknown): boolean | Promise<boolean> {
    const { key } = call
    if (key === undefined) return false
    // A flight tells of its failures itself; this is a call that went alone.
    if (loadFailed(call.attempt)) this.#throttle?.failed(key)
    const why = reasonOf(error)
    const serving = this.#serving
    if (serving.held(call, why)) return true
    const { clock } = call.pipeline
    const wait = call.remaining(clock.now()) <= 0 ? undefined : this.#wait?.until(call, key)
    if (wait === undefined) return serving.nothing()
    return wait.then(() => !call.done && (serving.held(call, why) || serving.nothing()))
  }

  settle(attempt: Attempt, outcome: Outcome): Error | undefined {
    return this.#keeping.settle(attempt, outcome)
  }
}

function dumpsOf(
  { clock, dependency, operation }: PolicyHost,
  { scope, staleFor, freeze }: CacheSettings,
  owner: Owner,
  store: Store,
  keys: KeyMaker,
): Dumps {
  const shown = scope === 'public' ? scope : 'private'
  return new Dumps({ clock, dependency, operation, scope: shown, staleFor, freeze, owner, store, keys })
}

/** @returns undefined without a store, or where what is private stays in this process */
function secondLevel(
  { clock, dependency, operation }: PolicyHost,
  { scope, storePrivate, staleFor, freeze }: CacheSettings,
  secondStore: SecondStore | undefined,
  { counts }: Serving,
  olderVersion: () => void,
  owner: Owner,
  store: Store,
): SecondLevel | undefined {
  if (secondStore === undefined || (scope !== 'public' && !storePrivate)) return undefined
  return new SecondLevel(
    {
      clock,
      dependency,
      operation,
      staleFor,
      counts,
      arrived: (key, arrival) => {
        if (freeze) deepFreeze(arrival.value)
        const result = store.admit(owner, key, arrival)
        if (result === 'oversize') counts.oversize++
        return result
      },
      olderVersion,
    },
    secondStore,
  )
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
