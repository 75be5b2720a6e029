import type { StoreKey } from './invariant-store.js'
import { decode, encode, type Kept, type Token } from './kept.js'

/** How values of one kind of invariant relate. */
export interface Order<T extends Token> {
  fits(token: Token): token is T
  /** Whether what was found in the store, or seen, goes before what is kept. Throws when they can't be compared. */
  precedes(found: Kept<T>, kept: Kept<T>): boolean
}

/**
 * The last good value of one invariant: in memory, and in a store if there is one. A store has no more than `get` and
 * `set`, so what is there is read again before each write, and only what is ahead of it is written. Of two processes that
 * write in the same instant the older value may still come last, until the next write.
 */
export class Memory<T extends Token> {
  kept: Kept<T> = { epoch: 1, given: false, token: undefined }
  readonly #order: Order<T>
  readonly #report: (error: unknown) => void
  #key: StoreKey | undefined
  #known = false
  #stored: string | undefined
  #writing: Promise<unknown> = Promise.resolve()
  #next: Promise<Kept<T> | undefined> | undefined

  constructor(order: Order<T>, report: (error: unknown) => void) {
    this.#order = order
    this.#report = report
  }

  get key(): StoreKey | undefined {
    return this.#key
  }

  keepIn(key: StoreKey): void {
    this.#key = key
    this.#known = false
  }

  /** Whether the store has still to be read for the first time. */
  get unread(): boolean {
    return this.#key !== undefined && !this.#known
  }

  /** Takes over what the store has, if that is ahead. */
  async pull(): Promise<void> {
    if (this.#key !== undefined) this.#take(await this.#find(this.#key))
  }

  /** The same. Once it is known what the store had, an error is only reported. */
  async refresh(): Promise<void> {
    try {
      await this.pull()
    } catch (error) {
      // A process that has forgotten must not put what it sees in place of what is kept.
      if (!this.#known) throw error
      this.#report(error)
    }
  }

  /** Takes over a value if it is ahead of what is kept. */
  raise(token: T, given: boolean): void {
    const seen = { epoch: this.kept.epoch, given, token }
    if (this.#order.precedes(seen, this.kept)) this.kept = seen
  }

  /** A new baseline, whatever was before. */
  replace(token: T | undefined): void {
    this.kept = { epoch: this.kept.epoch + 1, given: false, token }
  }

  /** Writes what is kept, if it has changed. An error is only reported. */
  async keep(): Promise<void> {
    if (this.#key === undefined || encode(this.kept) === this.#stored) return
    try {
      await this.push()
    } catch (error) {
      this.#report(error)
    }
  }

  /**
   * Writes what is kept, unless the store is ahead. Those who ask while one write is under way share the next.
   *
   * @returns what the store had before
   */
  push(): Promise<Kept<T> | undefined> {
    if (this.#next !== undefined) return this.#next
    const next = this.#writing.then(() => {
      this.#next = undefined
      return this.#exchange()
    })
    this.#next = next
    this.#writing = next.catch(() => undefined)
    return next
  }

  async #exchange(): Promise<Kept<T> | undefined> {
    if (this.#key === undefined) return undefined
    // Taken before the wait. What is handed out meanwhile is left to the next write: so a value that the store has
    // before its own write has begun was handed out by somebody else.
    const mine = this.kept
    const found = await this.#find(this.#key)
    this.#take(found)
    const text = encode(mine)
    if (found !== undefined && (this.#stored === text || this.#order.precedes(found, mine))) return found
    await this.#key.set(text)
    this.#stored = text
    return found
  }

  async #find(key: StoreKey): Promise<Kept<T> | undefined> {
    const text = await key.get()
    return text === undefined || text === null ? undefined : decode(text, (token) => this.#order.fits(token))
  }

  #take(found: Kept<T> | undefined): void {
    this.#known = true
    this.#stored = found && encode(found)
    if (found !== undefined && this.#order.precedes(found, this.kept)) this.kept = found
  }
}
