import { setImmediate as turn } from 'node:timers/promises'

/** A database of one table and one sequence, and a backup that lags behind it. */
export class Database {
  /** Inserts under an id that was there already: the harm. */
  collisions = 0
  readonly #orders = new Set<number>()
  #sequence = 0

  async nextId(): Promise<number> {
    await turn()
    return ++this.#sequence
  }

  async lastId(): Promise<number> {
    await turn()
    return this.#sequence
  }

  async count(): Promise<number> {
    await turn()
    return this.#orders.size
  }

  async insert(id: number): Promise<void> {
    await turn()
    if (this.#orders.has(id)) this.collisions++
    this.#orders.add(id)
  }

  /** The rows are all there; some increments of the sequence were lost on the way. */
  swapInBackup(): void {
    this.#sequence -= 20
  }

  setSequence(to: number): void {
    this.#sequence = to
  }
}
