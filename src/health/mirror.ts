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

/** Which of opossum's events a count stands for, and which of its statistics that event adds to. */
const EVENTS: Partial<Record<keyof Counts, Pick<Known, 'event' | 'statistic'>>> = {
  fires: { event: 'fire', statistic: 'fires' },
  successes: { event: 'success', statistic: 'successes' },
  // opossum emits success for what its error filter passes over.
  ignored: { event: 'success', statistic: 'successes' },
  failures: { event: 'failure', statistic: 'failures' },
  timeouts: { event: 'timeout', statistic: 'timeouts' },
  rejects: { event: 'reject', statistic: 'rejects' },
  full: { event: 'semaphoreLocked', statistic: 'semaphoreRejections' },
  fallbacks: { event: 'fallback', statistic: 'fallbacks' },
}

interface Known {
  readonly event: string
  readonly statistic: string
  /** How many listeners opossum itself has for that event. */
  readonly own: number
}

interface Statistics {
  increment(statistic: string, took?: number): void
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
  readonly #statistics: Statistics
  readonly #known: Partial<Record<keyof Counts, Known>> = {}
  readonly #report: (error: unknown) => void
  #rotated: number
  /** Settles the promise that opossum's pending `fire` waits for. */
  #trial: Deferred | undefined
  /** The trial whose `fire`, and the one whose result, opossum has told its listeners itself. */
  #fired: Attempt | undefined
  #told: Attempt | undefined
  #mayClose = false
  /** Its listeners have been told that it is half-open although its own timer was late. */
  #aheadOfTimer = false
  #unheard = false

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
    this.#statistics = this.status as unknown as Statistics
    for (const [what, { event, statistic }] of Object.entries(EVENTS))
      this.#known[what as keyof Counts] = { event, statistic, own: this.listenerCount(event) }
    // Whoever reads the statistics sees them as of now, although no timer turns them.
    for (const name of ['stats', 'status'] as const)
      Object.defineProperty(this, name, {
        get: () => {
          this.#rotate(clock.now())
          return Reflect.get(CircuitBreaker.prototype, name, this)
        },
      })
  }

  /** A listener that throws would escape from `open()` and `close()` into the verdict. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (#rotor in this) {
      this.#rotate(this.#clock.now())
      if (this.#unheard || (event === 'halfOpen' && this.#aheadOfTimer)) return true
    }
    try {
      return super.emit(event, ...args)
    } catch (error) {
      this.#report(error)
      return true
    }
  }

  /** A count of the dependency, as opossum's event: without arguments or values. */
  count(what: keyof Counts, attempt: Attempt | undefined): void {
    const known = this.#known[what]
    if (known === undefined) return
    const { event, statistic, own } = known
    const result = event === 'success' || event === 'failure'
    if (attempt !== undefined && attempt === (result ? this.#told : event === 'fire' ? this.#fired : undefined)) return
    const now = this.#momentOf(event, attempt)
    const took = attempt === undefined ? 0 : now - attempt.startedAt
    if (this.listenerCount(event) === own) {
      // Nobody listens but opossum itself, which does nothing more than this.
      this.#rotate(now)
      this.#statistics.increment(statistic, took)
    } else if (event === 'fire') this.emit(event, [])
    else if (result || event === 'timeout') this.emit(event, attempt?.error, took, [])
    else this.emit(event, undefined, attempt?.error)
  }

  showOpen(openFor: number): void {
    const { options } = this as unknown as { options: { resetTimeout: number } }
    options.resetTimeout = Math.max(1, Math.min(openFor, LONGEST_TIMER) - AHEAD)
    // It is open still, under the timer that was late: it is opened anew, as if it had been half-open.
    if (this.#aheadOfTimer) this.#closeUnheard()
    this.open()
  }

  showClosed(): void {
    this.#trial = undefined
    this.#aheadOfTimer = false
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
    // The loop was blocked past the time, or the clock is a manual one: opossum's own timer has not fired yet.
    if (this.opened && !this.#aheadOfTimer) {
      this.emit('halfOpen', 0)
      this.#aheadOfTimer = true
    }
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

  #closeUnheard(): void {
    this.#unheard = true
    super.close()
    this.#unheard = this.#aheadOfTimer = false
  }

  #action(): Promise<undefined> {
    return this.#trial?.promise ?? Promise.reject(new Error('this breaker follows a dependency: call its operations'))
  }

  /** When it happened, without looking at the clock where that is known. */
  #momentOf(event: string, attempt: Attempt | undefined): number {
    if (event === 'fire' && attempt !== undefined) return attempt.startedAt
    const ended = attempt?.ran === true && (event === 'success' || event === 'failure' || event === 'timeout')
    return ended ? attempt.endedAt : this.#clock.now()
  }

  #rotate(now: number): void {
    const width = ROLLING / BUCKETS
    if (now < this.#rotated + width) return
    const passed = Math.floor((now - this.#rotated) / width)
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
