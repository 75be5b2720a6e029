import * as v from 'valibot'
import type { Attempt } from './core/attempt.js'
import { bound } from './core/bound.js'
import type { Clock } from './core/clock.js'
import { DrainError } from './core/errors.js'
import type { InFlight } from './core/in-flight.js'
import { duration, durationOrZero, group, parse, text } from './core/options.js'
import { abortWork, describeWork } from './work-in-flight.js'

/** How a dependency is to be emptied. */
export interface DrainOptions {
  /** For other operators. */
  reason: string
  by?: string
  /** How long work in flight may take to end by itself, ms; what is left then is aborted. Default: the dependency's timeout. */
  timeout?: number
  /** How long aborted work may take to end, ms. Default 1,000. */
  grace?: number
}

/** A dependency that nobody uses until it is released. */
export interface Drained extends AsyncDisposable {
  /** Lets calls in again, once nobody else drains it. Idempotent. */
  release(): void
}

const schema = group({
  reason: text,
  by: v.optional(text),
  timeout: v.optional(duration),
  grace: v.optional(durationOrZero),
})

/** @internal */
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

  constructor(of: Drainable) {
    this.#of = of
  }

  /** @throws DrainError (`ERR_DRAIN`) when work is still running at the end; calls are let in again then */
  async drain(options: DrainOptions): Promise<Drained> {
    const { name, clock, inFlight, dismiss, note } = this.#of
    this.#holders.add(options)
    note(options.reason, options.by)
    this.#say()
    dismiss()
    const release = (): void => {
      if (!this.#holders.delete(options)) return
      note(undefined, options.by)
      this.#say()
    }
    const { timeout = this.#of.timeout(), grace = 1_000 } = options
    const ended = (): boolean => inFlight.size + inFlight.forgotten === 0
    await bound(clock, inFlight.empty(), timeout, () => undefined)
    if (!ended()) {
      const aborted = new DOMException(`${name} is drained`, 'AbortError')
      for (const attempt of inFlight) abortWork(attempt, aborted)
      await bound(clock, inFlight.empty(), grace, () => undefined)
    }
    if (ended()) {
      const dispose = (): Promise<void> => {
        release()
        return Promise.resolve()
      }
      return { release, [Symbol.asyncDispose]: dispose }
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

  #say(): void {
    const [first] = this.#holders
    this.#of.hold(first?.reason, first?.by)
  }
}
