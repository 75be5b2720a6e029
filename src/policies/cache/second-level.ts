import { unwrap } from './envelope.js'
import { SecondChanges } from './second-changes.js'
import type { SecondHost } from './second-host.js'
import { SecondKeys } from './second-key.js'
import { SecondMemory } from './second-memory.js'
import type { SecondStore } from './second-store.js'

/** Reads at once; callers beyond go without. */
const MOST_READS = 1_000

/** The second level of one operation: what other processes, and earlier ones, have kept of it. */
export class SecondLevel {
  readonly changes: SecondChanges
  readonly #host: SecondHost
  readonly #store: SecondStore
  readonly #keys: SecondKeys
  readonly #memory: SecondMemory
  readonly #reading = new Map<string, Promise<void>>()

  constructor(host: SecondHost, store: SecondStore) {
    this.#host = host
    this.#store = store
    this.#keys = new SecondKeys(host.dependency, host.operation)
    this.#memory = new SecondMemory(host.staleFor)
    this.changes = new SecondChanges(host, store, this.#keys, this.#memory)
  }

  /**
   * Fetches what it has into the first level, within 50 ms; readers of one key share one.
   * @returns undefined when there is nothing to wait for; else a promise that never rejects
   */
  read(key: string): Promise<void> | undefined {
    const shared = this.#reading.get(key)
    if (shared !== undefined) return shared
    const asked = this.#reading.size >= MOST_READS ? 'skip' : this.#store.reads.ask()
    if (asked !== 'go') this.#host.counts.secondSkipped++
    if (asked === 'skip') return undefined
    const reading = this.#read(key, asked).finally(() => {
      if (this.#reading.get(key) === reading) this.#reading.delete(key)
    })
    // A trial may take its 50 ms again and again while the store is down: nobody waits for it.
    if (asked === 'try') return undefined
    this.#reading.set(key, reading)
    return reading
  }

  async #read(key: string, asked: 'go' | 'try'): Promise<void> {
    let found: unknown[]
    try {
      found = await this.#store.read([this.#keys.of(key), this.#keys.cleared], asked)
    } catch {
      this.#host.counts.secondFailures++
      return
    }
    try {
      this.#take(key, found[0], found[1])
    } catch (error) {
      this.#store.report(error)
    }
  }

  #take(key: string, raw: unknown, cleared: unknown): void {
    const { counts, staleFor } = this.#host
    const now = this.#store.time.now()
    // Believed whatever its clock: better nothing than what was cleared.
    const since = unwrap(cleared, Infinity)
    if (since?.gone === true) this.#memory.clear(since.start)
    const found = unwrap(raw, now)
    if (found === undefined && raw !== undefined && raw !== null) counts.secondForeign++
    if (found === undefined || found.gone || now - found.start >= staleFor) {
      if (found?.gone === true) this.#memory.delete(key, found.start, false)
      counts.secondMisses++
      return
    }
    const { value, version, every, start } = found
    const objection = this.#memory.objection(key, start, version)
    if (objection !== undefined) {
      if (objection === 'gone') counts.secondMisses++
      else counts.secondOlder++
      if (objection === 'olderVersion') this.#host.olderVersion()
      return
    }
    this.#memory.saw(key, start, version)
    const startedAt = Math.min(this.#store.time.monotonic(start), this.#host.clock.now())
    const expired = found.expired || this.#memory.isExpired(key, start)
    const result = this.#host.arrived(key, { value, startedAt, version, expired, every })
    if (result === 'olderVersion') {
      counts.secondOlder++
      this.#host.olderVersion()
    } else if (result !== 'oversize') counts.secondHits++
  }
}
