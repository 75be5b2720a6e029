import * as v from 'valibot'
import type { Injection, Struck } from '../core/call.js'
import { backgroundTimer, type Clock } from '../core/clock.js'
import { OptionError } from '../core/errors.js'
import { duration, flag, group, parse, ratio, text } from '../core/options.js'
import type { Tally } from '../core/tally.js'

/** A rehearsal that somebody has forgotten is over after a day. */
const LONGEST = 86_400_000

/** A fault to rehearse: one of `error`, `value` and `hang`, each with or without a `delay`, or a `delay` alone. */
export interface InjectOptions {
  /** Thrown in place of the operation; a function makes one for each attempt. */
  error?: unknown
  /** Given in place of the operation's result, and it doesn't run. A function does let it run, and changes its result. */
  value?: unknown
  /** It ends when the attempt's signal aborts, and not before. */
  hang?: boolean
  /** Ms before anything else happens. */
  delay?: number
  /** The share of attempts that meet it, more than 0. Default 1. */
  rate?: number
  /** How long, ms; at most a day. */
  for: number
  /** Only calls of this class. Default: all, and the probe. */
  class?: string
  /** For the history. */
  reason?: string
  by?: string
  /** Required while `NODE_ENV` is `production`. */
  allowProduction?: boolean
}

/** A fault that is being injected. */
export interface Injected extends Disposable {
  /** Ends it before its time; `by` whom, for the history. Idempotent. */
  stop(options?: { by?: string }): void
}

const schema = group({
  error: v.optional(v.unknown()),
  value: v.optional(v.unknown()),
  hang: v.optional(flag),
  delay: v.optional(duration),
  rate: v.optional(ratio),
  for: v.pipe(
    duration,
    v.check((ms) => ms <= LONGEST, `must be at most ${LONGEST} ms, a day`),
  ),
  class: v.optional(text),
  reason: v.optional(text),
  by: v.optional(text),
  allowProduction: v.optional(flag),
})

/** What becomes of an attempt that meets it, once its delay is over. */
type Act =
  | { readonly kind: 'error'; readonly error: unknown }
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'hang' | 'delay' }

/** A fault, checked. */
export interface Fault {
  readonly act: Act
  readonly delay: number
  readonly rate: number
  readonly for: number
  readonly class: string | undefined
  readonly by: string | undefined
  readonly reason: string | undefined
  /** What it does, in words that hold neither error nor value. */
  readonly text: string
}

/** @throws OptionError (`ERR_OPTION`), also in production without `allowProduction` */
export function parseFault(options: unknown): Fault {
  const given = parse(schema, options, 'inject')
  if (process.env['NODE_ENV'] === 'production' && given.allowProduction !== true)
    throw new OptionError('inject.allowProduction', 'must be true where NODE_ENV is production')
  const act = actOf(given)
  const { delay = 0, rate = 1, class: only, by, reason } = given
  const after = delay === 0 || act.kind === 'delay' ? '' : ` after ${delay} ms`
  const what = act.kind === 'delay' ? `delay of ${delay} ms` : act.kind + after
  const share = rate === 1 ? '' : `, at a rate of ${rate}`
  const whom = only === undefined ? '' : `, for class ${only}`
  return { act, delay, rate, for: given.for, class: only, by, reason, text: what + share + whom }
}

/** An `undefined` value is a wrong result like any other, an `undefined` error is none. */
function actOf(given: v.InferOutput<typeof schema>): Act {
  const acts: Act[] = []
  if (given.error !== undefined) acts.push({ kind: 'error', error: given.error })
  if ('value' in given) acts.push({ kind: 'value', value: given.value })
  if (given.hang === true) acts.push({ kind: 'hang' })
  const [first, second] = acts
  if (second !== undefined) throw new OptionError(`inject.${second.kind}`, `does not go with ${first!.kind}`)
  if (first !== undefined) return first
  if (given.delay === undefined) throw new OptionError('inject', 'needs one of error, value, hang and delay')
  return { kind: 'delay' }
}

/** What ends one fault: `why` and, if somebody did it, `by` whom. */
export type End = (why: string, by?: string) => void

/** The faults that are injected into one dependency, newest first. Where there is none, calls don't know of it. */
export class Faults implements Injection {
  readonly #clock: Clock
  readonly #tally: Tally
  readonly #changed: (faults: Faults) => void
  #active: { readonly fault: Fault; readonly end: End }[] = []

  constructor(clock: Clock, tally: Tally, changed: (faults: Faults) => void) {
    this.#clock = clock
    this.#tally = tally
    this.#changed = changed
  }

  get active(): boolean {
    return this.#active.length > 0
  }

  get text(): string {
    return this.#active.map(({ fault }) => fault.text).join('; ')
  }

  /** From now on until its time is over, or it is ended. @param ended told once */
  add(fault: Fault, ended: End): End {
    const end: End = (why, by) => {
      const place = this.#active.indexOf(one)
      if (place === -1) return
      this.#active.splice(place, 1)
      this.#clock.clearTimer(timer)
      this.#changed(this)
      ended(why, by)
    }
    const one = { fault, end }
    const timer = backgroundTimer(
      this.#clock,
      () => {
        end('expired')
      },
      fault.for,
    )
    this.#active.unshift(one)
    this.#changed(this)
    return end
  }

  /** All of them. What has met one already goes on as it began. */
  end(why: string, by?: string): void {
    for (const { end } of [...this.#active]) end(why, by)
  }

  run(attempt: Struck, work: () => unknown): unknown {
    const fault = this.#pick(attempt.call.class)
    if (fault === undefined) return work()
    attempt.call.injected = true
    this.#tally.add('injected')
    return this.#strike(fault, attempt.signal, work)
  }

  /** A probe finds what calls find, or it would vouch for what fails them; of results it knows nothing. */
  probe(signal: AbortSignal, work: () => unknown): unknown {
    const fault = this.#pick(undefined)
    if (fault === undefined || fault.act.kind === 'value') return work()
    return this.#strike(fault, signal, work)
  }

  #pick(of: string | undefined): Fault | undefined {
    for (const { fault } of this.#active)
      if ((fault.class === undefined || fault.class === of) && (fault.rate === 1 || this.#clock.random() < fault.rate))
        return fault
    return undefined
  }

  #strike({ act, delay }: Fault, signal: AbortSignal, work: () => unknown): unknown {
    if (act.kind === 'hang') return pause(this.#clock, signal)
    if (delay === 0) return strikeNow(act, work)
    return pause(this.#clock, signal, delay).then(() => strikeNow(act, work))
  }
}

function strikeNow(act: Act, work: () => unknown): unknown {
  switch (act.kind) {
    case 'error':
      throw typeof act.error === 'function' ? (act.error as () => unknown)() : act.error
    case 'value':
      if (typeof act.value !== 'function') return act.value
      return Promise.resolve(work()).then(act.value as (real: unknown) => unknown)
    default:
      return work()
  }
}

/** Until the signal aborts, which is its rejection, or `ms` have passed. */
function pause(clock: Clock, signal: AbortSignal, ms?: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      if (timer !== undefined) clock.clearTimer(timer)
      reject(signal.reason as Error)
    }
    const timer =
      ms === undefined || signal.aborted
        ? undefined
        : clock.setTimer(() => {
            signal.removeEventListener('abort', leave)
            resolve()
          }, ms)
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  })
}
