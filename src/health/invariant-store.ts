import * as v from 'valibot'
import { bound } from '../core/bound.js'
import type { Clock } from '../core/clock.js'
import { CallTimeoutError } from '../core/errors.js'

/**
 * Where an invariant's last good value is kept. The key is `<dependency>/<invariant>`, the value a short text that is
 * not to be interpreted. `null` passes for `undefined`, since many clients answer so.
 *
 * Processes may share one. With nothing but `get` and `set`, of two that write in the same instant the lower mark may
 * come last; it stands until the next write.
 */
export interface InvariantStore {
  get(key: string): string | undefined | null | PromiseLike<string | undefined | null>
  set(key: string, value: string): unknown
}

export const storeSchema = v.custom<InvariantStore>((given) => {
  if (typeof given !== 'object' || given === null) return false
  const { get, set } = given as Partial<InvariantStore>
  return typeof get === 'function' && typeof set === 'function'
}, 'must be an object with get and set')

/** A store as one invariant sees it: one key, and each access bounded. */
export class StoreKey {
  readonly store: InvariantStore
  readonly #clock: Clock
  readonly #dependency: string
  readonly #name: string
  readonly #timeout: number

  constructor(clock: Clock, store: InvariantStore, dependency: string, name: string, timeout: number) {
    this.store = store
    this.#clock = clock
    this.#dependency = dependency
    this.#name = name
    this.#timeout = timeout
  }

  get(): Promise<unknown> {
    return this.#bounded(() => this.store.get(this.#key))
  }

  async set(value: string): Promise<void> {
    await this.#bounded(() => this.store.set(this.#key, value))
  }

  get #key(): string {
    return `${this.#dependency}/${this.#name}`
  }

  #bounded(access: () => unknown): Promise<unknown> {
    const dependency = this.#dependency
    const accessed = (async () => await access())()
    return bound(this.#clock, accessed, this.#timeout, () => {
      throw new CallTimeoutError(`${dependency} (${this.#name}): no answer from the store within ${this.#timeout} ms`, {
        dependency,
      })
    })
  }
}
