import { randomUUID } from 'node:crypto'
import { inside } from '../../core/ambient.js'
import { bound } from '../../core/bound.js'
import { backgroundClock, type Clock } from '../../core/clock.js'
import { Pause } from './pause.js'
import { SecondWrites } from './second-writes.js'
import { SharedTime } from './shared-time.js'

/** How long a caller waits for the second level, ms. */
export const READ_WITHIN = 50

/** What is asked of a second-level store: any Keyv (5 or 6) has it. */
export interface KeyvLike {
  get(key: string): Promise<unknown>
  /** @param ttl ms */
  set(key: string, value: unknown, ttl?: number): Promise<unknown>
  delete(key: string): Promise<unknown>
  on?(event: 'error', listener: (error: unknown) => void): unknown
}

type Report = (error: unknown) => void

const known = new WeakMap<Clock, WeakMap<KeyvLike, SecondStore>>()

/**
 * A second-level store, guarded: reads are bounded, what fails is left alone for a while, errors are told and never
 * crash anything. One for all dependencies that are given the same store, so that a page that calls several of them
 * finds out only once that it is dead.
 */
export class SecondStore {
  readonly time: SharedTime
  /** Tells what this process has written from what others have. */
  readonly writer: string = randomUUID()
  readonly writes: SecondWrites
  readonly reads: Pause
  readonly #clock: Clock
  readonly #behind: Clock
  readonly #store: KeyvLike
  readonly #reports = new Set<Report>()
  readonly #told = new WeakSet()
  /** Those who wait: when one has waited in vain, so have the others. */
  readonly #waiting = new Set<(error: Error) => void>()
  #errors = 0

  private constructor(clock: Clock, store: KeyvLike) {
    this.#clock = clock
    this.#behind = backgroundClock(clock)
    this.#store = store
    this.time = new SharedTime(clock)
    this.reads = new Pause(clock)
    this.writes = new SecondWrites(this.#behind, (error) => {
      this.report(error)
    })
    store.on?.('error', (error) => {
      this.#errors++
      this.report(error)
    })
  }

  static of(clock: Clock, store: KeyvLike): SecondStore {
    let stores = known.get(clock)
    if (stores === undefined) known.set(clock, (stores = new WeakMap()))
    let second = stores.get(store)
    if (second === undefined) stores.set(store, (second = new SecondStore(clock, store)))
    return second
  }

  /** @returns a function that stops listening */
  listen(report: Report): () => void {
    this.#reports.add(report)
    return () => {
      this.#reports.delete(report)
    }
  }

  report(error: unknown): void {
    // A store may both emit an error and throw it.
    if (typeof error === 'object' && error !== null) {
      if (this.#told.has(error)) return
      this.#told.add(error)
    }
    for (const report of this.#reports) report(error)
  }

  /**
   * What lies under these keys, no later than 50 ms from now.
   * @param asked `try`: the trial, for which nobody waits
   */
  async read(keys: readonly string[], asked: 'go' | 'try'): Promise<unknown[]> {
    let giveUp!: (error: Error) => void
    const given = new Promise<unknown[]>((resolve, reject) => {
      giveUp = reject
      inside(undefined, () => this.get(keys)).then(resolve, reject)
    })
    if (asked === 'go') this.#waiting.add(giveUp)
    try {
      const values = await bound(asked === 'go' ? this.#clock : this.#behind, given, READ_WITHIN, () => {
        throw new Error(`the second cache level gave no answer within ${READ_WITHIN} ms`)
      })
      this.reads.passed(asked)
      return values
    } catch (error) {
      this.#waiting.delete(giveUp)
      if (this.reads.failed(asked)) {
        this.report(error)
        for (const other of this.#waiting) other(error as Error)
      }
      throw error
    } finally {
      this.#waiting.delete(giveUp)
    }
  }

  /** Unbounded. @throws also when the store only emits its error and answers that there is nothing */
  async get(keys: readonly string[]): Promise<unknown[]> {
    const before = this.#errors
    const values = await Promise.all(keys.map((key) => this.#store.get(key)))
    if (this.#errors !== before && values.some((value) => value === undefined || value === null))
      throw new Error('the second cache level failed')
    return values
  }

  /** @throws also when the store says no more than that it did not work */
  async set(key: string, value: unknown, ttl: number): Promise<void> {
    if ((await this.#store.set(key, value, ttl)) === false) throw new Error('the second cache level took no write')
  }

  /** Gives what is still to be written so long, ms. */
  idle(ms: number): Promise<void> {
    return bound(this.#clock, this.writes.idle(), ms, () => undefined)
  }
}
