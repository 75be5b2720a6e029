import type { Call } from '../../core/call.js'
import { UnavailableError } from '../../core/errors.js'
import type { PolicyHost } from '../../core/policy.js'
import { departed, recover } from '../../core/runner.js'
import type { CacheSettings } from './cache-options.js'
import type { CallKeys } from './call-keys.js'
import type { SecondLevel } from './second-level.js'
import type { SecondWait } from './second-wait.js'
import type { Serving } from './serving.js'
import type { Entry, Store } from './store.js'

/** What another process refreshes is looked for again after this share of the time in which it does so. */
const LOOK_AGAIN = 0.1

/** Of a value that doesn't tell how often it is refreshed (it came with a call, or from a dump), ms. */
const UNTOLD = 5_000

/** What it reads from. */
export interface OfflineSources {
  readonly keys: CallKeys
  readonly store: Store
  readonly second: SecondLevel | undefined
  readonly wait: SecondWait | undefined
}

/** `live: false`: what a refresher has put there, or nothing. No caller ever calls. */
export class OfflineReader {
  readonly #host: PolicyHost
  readonly #settings: CacheSettings
  readonly #serving: Serving
  readonly #sources: OfflineSources

  constructor(host: PolicyHost, settings: CacheSettings, serving: Serving, sources: OfflineSources) {
    this.#host = host
    this.#settings = settings
    this.#serving = serving
    this.#sources = sources
  }

  answer(call: Call): Promise<unknown> {
    const { keys, wait } = this.#sources
    const key = keys.of(call.args)
    if (key === undefined) return this.#nothing(call)
    call.key = key
    return (
      this.#held(call, key) ??
      wait?.goOn(call, key, () => {
        if (this.#held(call, key) === undefined) void this.#nothing(call)
      }) ??
      this.#nothing(call)
    )
  }

  #held(call: Call, key: string): Promise<unknown> | undefined {
    const entry = this.#sources.store.get(key)
    if (entry === undefined) return undefined
    const age = this.#host.clock.now() - entry.startedAt
    const { freshFor, staleFor } = this.#settings
    if (age >= staleFor) return undefined
    const every = entry.every ?? UNTOLD
    if (age > every) this.#lookAgain(key, entry, age, every)
    if (!entry.expired && age < freshFor) return this.#serving.fresh(call, entry, age)
    this.#serving.stale(call, entry, age, 'staleOffline')
    return call.answered()
  }

  /** Behind its readers, once in a tenth of the time in which another process brings a new one. */
  #lookAgain(key: string, entry: Entry, age: number, every: number): void {
    if (age < entry.aheadAt) return
    entry.aheadAt = age + every * LOOK_AGAIN
    void this.#sources.second?.read(key)
  }

  /** A fallback further out may have something. */
  #nothing(call: Call): Promise<unknown> {
    this.#serving.nothing()
    const { dependency, operation, index } = this.#host
    const promise = call.promise ?? call.open(departed)
    const text = `${dependency} (${operation}): nothing has been put there to read, and with live: false nobody calls`
    recover(call, new UnavailableError(text, { dependency }), index - 1)
    return promise
  }
}
