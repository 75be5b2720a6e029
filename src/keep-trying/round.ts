import { inside } from '../core/ambient.js'
import type { Backoff } from '../core/backoff.js'
import type { CallContext } from '../core/call.js'
import type { Timer } from '../core/clock.js'
import type { Wrapped } from '../core/wrapped.js'
import type { Dependency } from '../dependency.js'
import { codeOf, type TryingState } from '../registry-events.js'
import { paceOf, type Pace, type PaceRecord } from './pace.js'
import { StateFile } from './state-file.js'

/** Complete. */
export interface TryingSettings<T> {
  dependency: Dependency
  backoff: Backoff
  steadyFor: number
  timeout: number | undefined
  stateFile: string | undefined
  when: ((error: unknown) => boolean) | undefined
  discard: ((late: T) => unknown) | undefined
}

/** A promise of the connection that also tells how far it has come. */
export interface Trying<T> extends Promise<T> {
  readonly state: TryingState
}

/** From the first caller who needs a connection until there is one, or nobody wants it any more. */
export class Round<T> {
  readonly #settings: TryingSettings<T>
  readonly #pace: Pace
  readonly #file: StateFile | undefined
  readonly #operation: Wrapped<[], T>
  readonly #abort = new AbortController()
  readonly #result: Promise<T>
  #callers = 0
  #phase: TryingState['phase'] = 'waiting'
  #code: string | undefined
  /** An operator has vouched for it: the next attempt need not wait. */
  #hurried = false
  /** A connection on its way from the attempt that made it: whoever leaves in that moment keeps it from coming. */
  #made: { value: T } | undefined
  #wake: (() => void) | undefined

  /** @param over runs when nobody can join it any more */
  constructor(connect: (context: CallContext) => T | PromiseLike<T>, settings: TryingSettings<T>, over: () => void) {
    const { dependency, timeout, stateFile } = settings
    const { clock, name } = dependency
    const report = (error: unknown): void => {
      dependency.report(error)
    }
    this.#settings = settings
    this.#pace = paceOf(clock, name)
    if (stateFile !== undefined) this.#file = new StateFile(stateFile, clock, name, report)
    this.#operation = dependency.wrap(
      async (context) => {
        const value = await connect(context)
        if (context.signal.aborted) this.#discard(value)
        else this.#made = { value }
        return value
      },
      { name: connect.name || 'connect', retry: false, ...(timeout === undefined ? {} : { timeout }) },
    )
    this.#abort.signal.addEventListener('abort', over, { once: true })
    // In the course of no request: the connection outlives it.
    this.#result = inside(undefined, () => this.#run())
    this.#result.then((value) => {
      over()
      if (this.#callers === 0) this.#discard(value)
    }, over)
  }

  get state(): TryingState {
    const [phase, { attempts, next }, code] = [this.#phase, this.#pace, this.#code]
    return {
      phase,
      attempts,
      ...(phase === 'waiting' ? { next } : {}),
      ...(code === undefined ? {} : { code }),
    }
  }

  /** One more who wants it; who leaves ends it only as the last. */
  join(signal: AbortSignal | undefined): Trying<T> {
    this.#callers++
    const promise = new Promise<T>((resolve, reject) => {
      const leave = (): void => {
        reject(signal!.reason)
        if (--this.#callers === 0) this.#abandon(signal!.reason)
      }
      const stay = (): void => {
        signal?.removeEventListener('abort', leave)
      }
      signal?.addEventListener('abort', leave, { once: true })
      this.#result.then(resolve, reject).finally(stay)
    })
    promise.catch(() => undefined)
    return Object.defineProperty(promise, 'state', { get: () => this.state }) as Trying<T>
  }

  #abandon(reason: unknown): void {
    this.#abort.abort(reason)
    this.#wake?.()
  }

  async #run(): Promise<T> {
    const { dependency, backoff } = this.#settings
    const unfollow = dependency.follow((hurry) => {
      if (hurry) this.#hurried = true
      this.#wake?.()
    })
    const wake = (): void => this.#wake?.()
    this.#pace.waiting.add(wake)
    try {
      const record = await this.#file?.read()
      if (record !== undefined) this.#pace.restore(record, backoff.atMost)
      for (;;) {
        const record = await this.#turn()
        try {
          return await this.#attempt(record)
        } catch (error) {
          this.#code = codeOf(error)
          if (this.#over !== undefined) continue
          if (this.#isFinal(error)) throw error
          this.#tell('waiting')
        }
      }
    } catch (error) {
      this.#tell('ended')
      throw error
    } finally {
      unfollow()
      this.#pace.waiting.delete(wake)
    }
  }

  #isFinal(error: unknown): boolean {
    const { when, dependency } = this.#settings
    try {
      return when?.(error) === false
    } catch (thrown) {
      dependency.report(thrown)
      return false
    }
  }

  /** Why there is nothing more to try. */
  get #over(): { reason: unknown } | undefined {
    const { closed } = this.#settings.dependency
    if (closed !== undefined) return { reason: closed }
    return this.#abort.signal.aborted ? { reason: this.#abort.signal.reason as unknown } : undefined
  }

  /** Its turn, taken in the step that finds it: others wait for theirs. */
  async #turn(): Promise<PaceRecord> {
    const { backoff, steadyFor } = this.#settings
    for (;;) {
      if (this.#over !== undefined) throw this.#over.reason
      const wait = this.#wait()
      if (wait === 0) return this.#pace.begin(backoff, steadyFor)
      await this.#pause(wait)
    }
  }

  /** How long to wait before looking again, ms: for the mode, for another's attempt, or for the pace. */
  #wait(): number {
    const { dependency, backoff } = this.#settings
    const { available, retryAfter = backoff.atMost } = dependency.standing
    if (!available) {
      if (this.#phase !== 'held') this.#tell('held')
      return Math.max(1, Math.min(retryAfter, backoff.atMost))
    }
    if (this.#phase === 'held') this.#phase = 'waiting'
    if (this.#pace.busy) return backoff.atMost
    return this.#hurried ? 0 : this.#pace.next
  }

  #pause(ms: number): Promise<void> {
    const { clock } = this.#settings.dependency
    return new Promise((resolve) => {
      const wake = (): void => {
        clock.clearTimer(timer)
        this.#wake = undefined
        resolve()
      }
      // Somebody awaits it, so it keeps the process alive.
      const timer: Timer = clock.setTimer(wake, Math.ceil(ms))
      this.#wake = wake
    })
  }

  async #attempt(record: PaceRecord): Promise<T> {
    this.#hurried = false
    this.#phase = 'trying'
    try {
      // Before it begins: it may be what ends the process.
      await this.#file?.write(record)
      const value = await this.#operation.with({ signal: this.#abort.signal })()
      this.#made = undefined
      this.#tell('connected')
      return value
    } finally {
      if (this.#made !== undefined) this.#discard(this.#made.value)
      this.#made = undefined
      this.#pace.end()
    }
  }

  /** A connection that nobody waits for any more. */
  #discard(late: T): void {
    try {
      const result = this.#settings.discard?.(late)
      if (result instanceof Promise) result.catch((error: unknown) => this.#settings.dependency.report(error))
    } catch (error) {
      this.#settings.dependency.report(error)
    }
  }

  #tell(phase: TryingState['phase']): void {
    this.#phase = phase
    this.#settings.dependency.connection(this.state)
  }
}
