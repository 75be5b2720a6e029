/** What can stand in an {@link InFlight} list. */
export interface Listed<T extends Listed<T>> {
  older: T | undefined
  newer: T | undefined
}

/** Work that has begun and not yet ended, oldest first. A linked list: entering and leaving cost the same at any size. */
export class InFlight<T extends Listed<T>> implements Iterable<T> {
  size = 0
  /** How many there have been in all. */
  begun = 0
  /** Work that runs and is listed no more. */
  forgotten = 0
  /** Told once, of the next item that is added. */
  wake: (() => void) | undefined
  #oldest: T | undefined
  #newest: T | undefined
  #whenEmpty: (() => void)[] = []
  #unlisted: WeakSet<T> | undefined

  add(item: T): void {
    item.older = this.#newest
    item.newer = undefined
    if (this.#newest === undefined) this.#oldest = item
    else this.#newest.newer = item
    this.#newest = item
    this.size++
    this.begun++
    if (this.wake === undefined) return
    const { wake } = this
    this.wake = undefined
    wake()
  }

  /** Harmless when the item isn't here. */
  remove(item: T): void {
    if (item.older === undefined && item !== this.#oldest) {
      if (this.#unlisted?.delete(item) !== true) return
      this.forgotten--
      this.#emptied()
      return
    }
    if (item.older === undefined) this.#oldest = item.newer
    else item.older.newer = item.newer
    if (item.newer === undefined) this.#newest = item.older
    else item.newer.older = item.older
    item.older = item.newer = undefined
    this.size--
    this.#emptied()
  }

  /** Lists it no more, although it runs. */
  forget(item: T): void {
    this.forgotten++
    this.remove(item)
    ;(this.#unlisted ??= new WeakSet()).add(item)
  }

  /** Resolves when no work is left; who waits puts a bound on it. */
  empty(): Promise<void> {
    if (this.size + this.forgotten === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenEmpty.push(resolve))
  }

  /** As of now: what is done with one item may end others. */
  [Symbol.iterator](): Iterator<T> {
    const items: T[] = []
    for (let item = this.#oldest; item !== undefined; item = item.newer) items.push(item)
    return items.values()
  }

  #emptied(): void {
    if (this.#whenEmpty.length > 0 && this.size + this.forgotten === 0)
      for (const tell of this.#whenEmpty.splice(0)) tell()
  }
}
