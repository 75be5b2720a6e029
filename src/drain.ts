import * as v from 'valibot'
import type { Attempt } from './core/attempt.js'
import { bound } from './core/bound.js'
import type { Clock } from './core/clock.js'
import { DrainError, UnavailableError } from './core/errors.js'
import type { InFlight } from './core/in-flight.js'
import { duration, durationOrZero, group, parse, text } from './core/options.js'
import { abortWork, describeWork } from './work-in-flight.js'

/** How a dependency is to be emptied. */
export interface DrainOptions {
  /** For other operators. */
  reason: string
  by?: string
  /**
   * How long work in flight may take to end by itself, ms; what is left then is aborted, its callers get
   * `ERR_UNAVAILABLE`. Default: the dependency's timeout.
   */
  timeout?: number
  /** How long aborted work may take to end, ms. Default 1,000. */
  grace?: number
  /** Gives the drain up while work is still running: it rejects with the signal's reason, and lets calls in again. */
  signal?: AbortSignal
}

/** A dependency that nobody uses until it is released. */
export interface Drained extends AsyncDisposable {
  /** Lets calls in again, once nobody else drains it; `by` whom, for the history. Idempotent. */
  release(options?: { by?: string }): void
}

const schema = group({
  reason: text,
  by: v.optional(text),
  timeout: v.optional(duration),
  grace: v.optional(durationOrZero),
  signal: v.optional(v.instance(AbortSignal, 'must be an AbortSignal')),
})
const releaseSchema = group({ by: v.optional(text) })

export function drainOptions(options: unknown): DrainOptions {
  return parse(schema, options, 'drain') as DrainOptions
}

/** What a drain needs of its dependency. */
export interface Drainable {
  readonly name: string
  readonly clock: Clock
  readonly inFlight: InFlight<Attempt>
  readonly timeout: () => number
  /** `undefined` = nobody drains it any more. */
  readonly hold: (reason: string | undefined, by?: string) => void
  /** Into the history: that somebody drains it, or (`undefined`) does so no more. */
  readonly note: (reason: string | undefined, by?: string) => void
  /** Sends those away who wait for a slot. */
  readonly dismiss: () => void
}

/**
 * Empties a dependency for exclusive work: no new calls, and none running; as many times at once as people ask for it.
 */
export class Drains {
  readonly #of: Drainable
  readonly #holders = new Set<DrainOptions>()
  /** Ends the waits of those who are not done yet. */
  readonly #waits = new Set<() => void>()
  #closed: Error | undefined

  constructor(of: Drainable) {
    this.#of = of
  }

  /** @throws DrainError (`ERR_DRAIN`) when work is still running at the end; calls are let in again then; what `close` was given */
  async drain(options: DrainOptions): Promise<Drained> {
    const { name, clock, inFlight, dismiss, note } = this.#of
    const { timeout = this.#of.timeout(), grace = 1_000, signal } = options
    signal?.throwIfAborted()
    this.#holders.add(options)
    note(options.reason, options.by)
    this.#say()
    dismiss()
    const release = (given: { by?: string } = {}): void => {
      const { by = options.by } = parse(releaseSchema, given, 'release')
      if (!this.#holders.delete(options)) return
      note(undefined, by)
      this.#say()
    }
    const ended = (): boolean => inFlight.size + inFlight.forgotten === 0
    await this.#empty(timeout, signal)
    if (!ended() && signal?.aborted !== true && this.#closed === undefined) {
      // Its caller didn't ask for that: he is told what he would be told if he called now.
      const aborted = new UnavailableError(`${name} is drained`, { dependency: name })
      for (const attempt of inFlight) abortWork(attempt, aborted)
      await this.#empty(grace, signal)
    }
    if (signal?.aborted === true) {
      release()
      throw signal.reason
    }
    if (ended()) {
      const dispose = (): Promise<void> => {
        release()
        return Promise.resolve()
      }
      return { release, [Symbol.asyncDispose]: dispose }
    }
    if (this.#closed !== undefined) {
      release()
      throw this.#closed
    }
    const held = [...inFlight].map((attempt) => {
      const { operation, class: of, label } = describeWork(attempt, clock)
      const age = clock.now() - attempt.startedAt
      return { operation, age, ...(of === undefined ? {} : { class: of }), ...(label === undefined ? {} : { label }) }
    })
    const running = inFlight.size + inFlight.forgotten
    release()
    throw new DrainError(`${name} could not be drained: ${running} still running`, { dependency: name, held })
  }

  /** The dependency was closed: nobody waits any longer for work that doesn't end. */
  close(closed: Error): void {
    this.#closed = closed
    for (const end of this.#waits) end()
  }

  #say(): void {
    const [first] = this.#holders
    this.#of.hold(first?.reason, first?.by)
  }

  /** Until no work is left, `ms` have passed, the signal aborts, or the dependency was closed. */
  async #empty(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, inFlight } = this.#of
    let end!: () => void
    const over = new Promise<void>((resolve) => (end = resolve))
    this.#waits.add(end)
    signal?.addEventListener('abort', end)
    await bound(clock, Promise.race([inFlight.empty(), over]), ms, () => undefined)
    signal?.removeEventListener('abort', end)
    this.#waits.delete(end)
  }
}
