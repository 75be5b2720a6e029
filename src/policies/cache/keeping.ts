import type { Attempt } from '../../core/attempt.js'
import { OptionError } from '../../core/errors.js'
import type { Outcome } from '../../core/guard.js'
import type { Behind } from './behind.js'
import type { CacheSettings } from './cache-options.js'
import type { CacheCounts } from './counts.js'
import type { Deleting } from './deleting.js'
import type { Owner } from './owner.js'
import type { SecondChanges } from './second-changes.js'
import type { Store } from './store.js'
import { comparable, type Version } from './version.js'
import type { Throttle } from './throttle.js'
import { deepFreeze, singleUse } from './value.js'

/** What it needs of the cache. */
export interface Keeps {
  readonly operation: string
  readonly owner: Owner
  readonly store: Store
  readonly second: SecondChanges | undefined
  readonly throttle: Throttle | undefined
  readonly behind: Behind
  readonly deleting: Deleting
  readonly counts: CacheCounts
  readonly onOlderVersion: () => void
}

/** What is kept of an attempt that has ended, and what is deleted after it. */
export class Keeping {
  readonly #settings: CacheSettings
  readonly #of: Keeps

  constructor(settings: CacheSettings, of: Keeps) {
    this.#settings = settings
    this.#of = of
  }

  /** @returns an error in place of a value that must not be shared */
  settle(attempt: Attempt, outcome: Outcome): Error | undefined {
    const { key } = attempt.call
    if (key === undefined) return undefined
    if (outcome === 'success') return this.#keep(attempt, key)
    if (outcome === 'refused' || outcome === 'cancelled') return undefined
    // A value that was judged failed has no error to ask about.
    if (attempt.error !== undefined && this.#settings.evictOn(attempt.error)) this.#of.deleting.evict(key, attempt)
    return undefined
  }

  #keep(attempt: Attempt, key: string): Error | undefined {
    const { value, call } = attempt
    const { operation, throttle, counts } = this.#of
    const once = singleUse(value)
    if (once !== undefined)
      return new OptionError(`${operation}.key`, `a result that is cached must not be ${once}: read it first`)
    throttle?.succeeded(key)
    const { cacheIf, version, freeze } = this.#settings
    if (cacheIf !== undefined && !cacheIf(value as never, ...(call.args as never[]))) {
      counts.declined++
      return undefined
    }
    if (freeze) deepFreeze(value)
    this.#write(attempt, key, version === undefined ? undefined : comparable(version(value as never)))
    return undefined
  }

  #write({ value, call, startedAt }: Attempt, key: string, version: Version | undefined): void {
    const { owner, store, second, behind, counts, onOlderVersion } = this.#of
    const every = behind.every(key)
    const result = store.write(owner, key, value, startedAt, call.sequence, version, every)
    if (result === 'written') {
      counts.written++
      second?.keep(key, value, startedAt, version, every)
      return
    }
    counts[result]++
    // What it held before is gone here, and must not come back from there.
    if (result === 'oversize') second?.delete(key, startedAt)
    if (result === 'olderVersion') onOlderVersion()
  }
}
