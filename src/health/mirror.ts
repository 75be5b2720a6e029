import { EventEmitter } from 'node:events'
import CircuitBreaker from 'opossum'
import type { Attempt } from '../core/attempt.js'
import { LONGEST_TIMER, type Clock } from '../core/clock.js'
import type { Counts } from '../core/tally.js'
import type { Mirror } from './followers.js'

/** How long opossum's rolling statistics reach back, ms, and in how many buckets: its own defaults. */
const ROLLING = 10_000
const BUCKETS = 10
/**
 * opossum becomes half-open by a timer of its own only. It is given this much less than the verdict's open time, ms,
 * so that it is ready when the verdict's trial comes.
 */
const AHEAD = 10

/** Which of opossum's events a count stands for. */
const EVENTS: Partial<Record<keyof Counts, string>> = {
  fires: 'fire',
  successes: 'success',
  // opossum emits success for what its error filter passes over.
  ignored: 'success',
  failures: 'failure',
  timeouts: 'timeout',
  rejects: 'reject',
  full: 'semaphoreLocked',
  fallbacks: 'fallback',
}

/**
 * An opossum breaker that follows a dependency's verdict, so that listeners, dashboards and exporters written for
 * opossum keep working. The verdict owns state, due time, lease and generation; trials pass through `fire()`.
 *
 * Its options are what driving opossum takes: `volumeThreshold` is a large integer (`Infinity` becomes 0) so that it
 * never opens by itself, a rotate controller of its own replaces its interval timer, and its reset timer is set
 * before each `open()`.
 */
export class OpossumMirror extends CircuitBreaker<[], undefined> implements Mirror {
  readonly #clock: Clock
  readonly #rotor: EventEmitter
  readonly #report: (error: unknown) => void
  #rotated: number
  /** Settles the promise that opossum's pending `fire` waits for. */
  #trial: Deferred | undefined
  /** The trial whose `fire`, and the one whose result, opossum has told its listeners itself. */
  #fired: Attempt | undefined
  #told: Attempt | undefined
  #mayClose = false

  constructor(dependency: string, clock: Clock, report: (error: unknown) => void) {
    const rotor = new EventEmitter()
    super(() => this.#action(), {
      name: dependency,
      timeout: false,
      volumeThreshold: Number.MAX_SAFE_INTEGER,
      rollingCountTimeout: ROLLING,
      rollingCountBuckets: BUCKETS,
      rotateBucketController: rotor,
      enableSnapshots: false,
    })
    this.#clock = clock
    this.#rotor = rotor
    this.#report = report
    this.#rotated = clock.now()
    // Whoever reads the statistics sees them as of now, although no timer turns them.
    for (const name of ['stats', 'status'] as const)
      Object.defineProperty(this, name, {
        get: () => {
          this.#rotate()
          return Reflect.get(CircuitBreaker.prototype, name, this)
        },
      })
  }

  /** A listener that throws would escape from `open()` and `close()` into the verdict. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (#rotor in this) this.#rotate()
    try {
      return super.emit(event, ...args)
    } catch (error) {
      this.#report(error)
      return true
    }
  }

  /** A count of the dependency, as opossum's event: without arguments or values. */
  count(what: keyof Counts, attempt: Attempt | undefined): void {
    const event = EVENTS[what]
    if (event === undefined) return
    if (event === 'fire') {
      if (attempt === undefined || attempt !== this.#fired) this.emit(event, [])
    } else if (event === 'success' || event === 'failure') {
      if (attempt === undefined || attempt !== this.#told) this.emit(event, attempt?.error, this.#took(attempt), [])
    } else if (event === 'timeout') this.emit(event, attempt?.error, this.#took(attempt), [])
    else this.emit(event, undefined, attempt?.error)
  }

  showOpen(openFor: number): void {
    const { options } = this as unknown as { options: { resetTimeout: number } }
    options.resetTimeout = Math.max(1, Math.min(openFor, LONGEST_TIMER) - AHEAD)
    this.open()
  }

  showClosed(): void {
    this.#trial = undefined
    this.#mayClose = true
    this.close()
    this.#mayClose = false
  }

  /**
   * While half-open, opossum closes at the first success that it hears of, be it a late one or one after which the
   * invariants are still to be read.
   */
  override close(): void {
    if (this.#mayClose) super.close()
  }

  beginTrial(attempt: Attempt): void {
    // A trial that gave its turn back has left opossum's `fire` pending: the next one takes it over.
    if (!this.halfOpen || this.#trial !== undefined) return
    this.#trial = deferred()
    this.#fired = attempt
    this.fire().catch(() => undefined)
  }

  passTrial(attempt: Attempt): void {
    if (this.#trial === undefined) return
    this.#told = attempt
    this.#trial.resolve()
    this.#trial = undefined
  }

  failTrial(attempt: Attempt): void {
    if (this.#trial === undefined) return
    this.#told = attempt
    this.#trial.reject(attempt.error)
    this.#trial = undefined
  }

  dropTrial(): void {
    this.#trial = undefined
  }

  #action(): Promise<undefined> {
    return this.#trial?.promise ?? Promise.reject(new Error('this breaker follows a dependency: call its operations'))
  }

  #took(attempt: Attempt | undefined): number {
    if (attempt === undefined) return 0
    return (attempt.ran ? attempt.endedAt : this.#clock.now()) - attempt.startedAt
  }

  #rotate(): void {
    const width = ROLLING / BUCKETS
    const passed = Math.floor((this.#clock.now() - this.#rotated) / width)
    if (passed <= 0) return
    this.#rotated += passed * width
    for (let i = 0; i < Math.min(passed, BUCKETS); i++) this.#rotor.emit('rotate')
  }
}

interface Deferred {
  promise: Promise<undefined>
  resolve: () => void
  reject: (error: unknown) => void
}

function deferred(): Deferred {
  let resolve!: (value: undefined) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<undefined>((yes, no) => {
    resolve = yes
    reject = no
  })
  return {
    promise,
    resolve: () => {
      resolve(undefined)
    },
    reject,
  }
}
