import * as v from 'valibot'
import { bound } from '../core/bound.js'
import type { Call, CallOptions, CallOutcome } from '../core/call.js'
import { DeadlineError, OptionError, told } from '../core/errors.js'
import type { Recoverer } from '../core/guard.js'
import type { PolicyHost, RecovererPolicy } from '../core/policy.js'
import { isThenable } from '../core/thenable.js'
import { WRAPPED, type Wrapped } from '../core/wrapped.js'

/** What a fallback function is given first, before the caller's arguments. */
export interface FallbackContext {
  /** Why there is no live answer. */
  readonly error: unknown
  /** Aborts when the caller leaves or the time for the fallback is over. Made when it is first read. */
  readonly signal: AbortSignal
  /** Time left, ms. */
  readonly remaining: number
}

/** Something to serve in place of a live answer. */
export type Alternative<A extends unknown[], R> =
  | { readonly value: R }
  | AnotherOperation<A, R>
  | { give(context: FallbackContext, ...args: A): R | PromiseLike<R> }['give']

/** A wrapped operation. Said without its own call signature, which would leave a function's parameters untyped. */
export interface AnotherOperation<A extends unknown[], R> {
  readonly operation: string
  with(options: CallOptions): { call(...args: A): Promise<R> }['call']
}

class Context implements FallbackContext {
  readonly error: unknown
  readonly remaining: number
  #controller: AbortController | undefined
  #reason: { value: unknown } | undefined

  constructor(error: unknown, remaining: number) {
    this.error = told(error)
    this.remaining = remaining
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason.value)
    }
    return this.#controller.signal
  }

  abort(reason: unknown): void {
    this.#reason ??= { value: reason }
    this.#controller?.abort(reason)
  }
}

export type AnyAlternative =
  { readonly value: unknown } | ((context: FallbackContext, ...args: never[]) => unknown) | Wrapped<unknown[], unknown>

/**
 * What is served instead: the alternatives in order, until one gives something. Every asynchronous one is bounded.
 * After the deadline only values are served. Never runs after the caller's abort, nor for an error that isn't a failure.
 * What another operation gives keeps its age: it may be a stale value itself.
 */
export class Fallback implements Recoverer {
  readonly kind = 'fallback'
  readonly #host: PolicyHost
  readonly #alternatives: readonly AnyAlternative[]

  constructor(host: PolicyHost, alternatives: readonly AnyAlternative[]) {
    this.#host = host
    this.#alternatives = alternatives
  }

  recover(call: Call, error: unknown): boolean | Promise<boolean> {
    return this.#from(0, call, error)
  }

  #from(index: number, call: Call, error: unknown): boolean | Promise<boolean> {
    for (let i = index; i < this.#alternatives.length && !call.done; i++) {
      const alternative = this.#alternatives[i]!
      if (typeof alternative !== 'function') return this.#serve(call, i, alternative)
      const { patience, life } = call.pipeline
      const ms = Math.min(patience ?? life.patience, call.remaining(this.#host.clock.now()))
      if (ms <= 0) continue
      const context = new Context(error, ms)
      try {
        const result = run(alternative, context, call)
        if (!isThenable(result)) return this.#serve(call, i, { value: result })
        return this.#wait(result, context, call).then(
          (value) => this.#serve(call, i, isWrapped(alternative) ? (value as CallOutcome<unknown>) : { value }),
          () => this.#from(i + 1, call, error),
        )
      } catch {
        // An error in one goes to the next; if all fail, the original error is thrown.
      }
    }
    return false
  }

  #wait(result: PromiseLike<unknown>, context: Context, call: Call): Promise<unknown> {
    const { clock, dependency } = this.#host
    call.onLeave = (reason) => {
      context.abort(reason)
    }
    const late = (): never => {
      const error = new DeadlineError(`${dependency}: the fallback gave nothing in time`, { dependency })
      context.abort(error)
      throw error
    }
    const given = call.timedByRequest ? Promise.race([result, overdue(call, context)]) : Promise.resolve(result)
    return bound(clock, given, context.remaining, late)
  }

  #serve(call: Call, index: number, { value, age = 0, stale = false }: Given): boolean {
    if (call.done) return false
    this.#host.tally.fellBack(call.attempt)
    return call.serve(value, { source: 'fallback', stale, age, alternative: index })
  }
}

/** Rejects at the end of the request: the next alternative must be served in that very turn, a timer would be too late. */
function overdue(call: Call, context: Context): Promise<never> {
  return new Promise((_, reject) => {
    call.onOverdue = (error) => {
      context.abort(error)
      reject(error)
    }
  })
}

type Runnable = Exclude<AnyAlternative, { readonly value: unknown }>

/** What an alternative has given, with its story if it has one. */
type Given = Pick<CallOutcome<unknown>, 'value'> & Partial<CallOutcome<unknown>>

/** A wrapped operation gets the original arguments and the call's class, any other function the context before them. */
function run(alternative: Runnable, context: Context, { args, class: of }: Call): unknown {
  if (!isWrapped(alternative)) return alternative(context, ...(args as never[]))
  const { signal, remaining: total } = context
  return alternative.with({ signal, total, ...(of === undefined ? {} : { class: of }) }).outcome(...args)
}

const isWrapped = (alternative: Runnable): alternative is Wrapped<unknown[], unknown> => WRAPPED in alternative

export const fallbackSchema = v.custom<AnyAlternative | readonly AnyAlternative[]>(
  (given) => (Array.isArray(given) ? given.length > 0 && given.every(isAlternative) : isAlternative(given)),
  'must be a function, a wrapped operation, { value }, or a non-empty array of these',
)

function isAlternative(given: unknown): boolean {
  if (typeof given === 'function') return true
  return typeof given === 'object' && given !== null && 'value' in given && Object.keys(given).length === 1
}

export function alternatives(given: AnyAlternative | readonly AnyAlternative[]): readonly AnyAlternative[] {
  const all = Array.isArray(given) ? (given as AnyAlternative[]) : [given as AnyAlternative]
  return all.map((one) => (typeof one === 'function' ? one : { value: one.value }))
}

/**
 * For `compose`: what to serve in place of a live answer, in order.
 *
 * @throws OptionError (`ERR_OPTION`) for something that can't be served
 * @example
 * compose([fallback(fromBackup, { value: [] })], [timeout(500)])(load)
 */
export function fallback<A extends unknown[], R>(...given: Alternative<A, R>[]): RecovererPolicy {
  if (given.length === 0 || !given.every(isAlternative))
    throw new OptionError('fallback', 'must be functions, wrapped operations or { value }, at least one')
  const copied = alternatives(given as readonly AnyAlternative[])
  return { role: 'recoverer', kind: 'fallback', make: (host) => new Fallback(host, copied) }
}
