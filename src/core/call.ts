import { ambient, type Ambient } from './ambient.js'
import type { Attempt } from './attempt.js'
import type { Clock } from './clock.js'
import { DeadlineError, told } from './errors.js'
import type { Guard, Recoverer } from './guard.js'
import type { InFlight, Listed } from './in-flight.js'
import type { StallWatch } from './stall.js'

/** What an operation is given first, before the caller's arguments. */
export interface CallContext {
  /**
   * Aborts when the attempt times out, its deadline passes, its caller leaves or the dependency closes.
   * Each attempt has its own; it is made when it is first read, so an operation that can't use it pays nothing.
   */
  readonly signal: AbortSignal
  /** The dependency's name. */
  readonly dependency: string
  /** Counts the tries of one call, from 1. */
  readonly attempt: number
  /** How much time is left for this attempt, ms. */
  readonly remaining: number
}

/** What a single call may ask for, by `operation.with(…)` or `dependency.run(…, …)`. */
export interface CallOptions {
  /** For each attempt, ms, in place of the operation's. A shorter one makes the attempt "cut short": no failure sample. */
  timeout?: number
  /** For the whole call, ms: waiting, retries and fallback included. */
  total?: number
  /** The instant by which the caller needs an answer: a `Date`, or ms since the epoch. The sooner of it and `total` holds. */
  deadline?: number | Date
  /** Aborts the call: it rejects with the signal's own reason. */
  signal?: AbortSignal
  /** The class of the bulkhead that the call belongs to. */
  class?: string
  /** Shown by `inFlight()`; never put private data into it. */
  label?: string
}

/** Where an answer came from. */
export type Source = 'live' | 'fresh' | 'stale' | 'fallback'

/** A value with its story. */
export interface CallOutcome<R> {
  value: R
  source: Source
  /** Whether the value is past its fresh time. */
  stale: boolean
  /** Ms since the start of the call that produced the value. */
  age: number
  /** Which of the fallbacks it is from, the first being 0. */
  alternative?: number
  /** Why it isn't live, if something failed. */
  error?: unknown
}

/** Shared by all calls of a registry. */
export interface CallWatch {
  /** Told of every call's end while somebody listens; never throws. */
  ended: ((call: Call, error: unknown, failed: boolean) => void) | undefined
}

/** What an injected fault needs of the attempt that it is done to. */
export interface Struck {
  readonly signal: AbortSignal
  readonly call: { readonly class: string | undefined; injected: boolean }
}

/** What stands between the guards and the operations of a dependency while faults are rehearsed. */
export interface Injection {
  run(attempt: Struck, work: () => unknown): unknown
}

/** Shared by all operations of a dependency, and changed at run time. */
export interface Life {
  /** Why no call may start any more, once that is so. */
  closed: Error | undefined
  /** Calls go straight through: no guard is entered, no recoverer asked. */
  bypassed: boolean
  /** For the whole call, ms; `Infinity` = none. */
  total: number
  /** What bounds an asynchronous fallback when no deadline does, ms. */
  patience: number
  isFailure: ((result: { error?: unknown; value?: unknown }) => boolean) | undefined
  /** There only while something is injected, so that calls pay one look for it. */
  injection: Injection | undefined
}

/**
 * Whether the work goes on when its caller leaves: never; once it has begun; or `always`, when it also begins after its
 * request is over.
 */
export type Detachment = 'never' | 'once begun' | 'always'

type Answering = Required<Pick<Recoverer, 'answer'>> & Pick<Recoverer, 'peek'>
type Keeping = Required<Pick<Recoverer, 'settle'>>

/** One operation with its policies, put together once. */
export interface Pipeline {
  readonly dependency: string
  readonly name: string
  readonly operation: (context: CallContext, ...args: never[]) => unknown
  /** The operation asks for injected faults itself, beneath the invariant that its results are checked by. */
  readonly checked: boolean
  readonly guards: readonly Guard[]
  /** Outermost first. */
  readonly recoverers: readonly Recoverer[]
  /** Those of them that may answer before an attempt, and those that see how each ends; apart, for the healthy path. */
  readonly answering: readonly Answering[]
  readonly keeping: readonly Keeping[]
  /** Asked before there is a record of the call, where there is one. */
  readonly peek: Recoverer['peek']
  readonly clock: Clock
  readonly stalls: StallWatch
  readonly inFlight: InFlight<Attempt>
  /** In place of those of `life`, where the operation has its own. */
  readonly total: number | undefined
  readonly patience: number | undefined
  readonly label: string | undefined
  /** Whether its attempts judge the dependency. */
  readonly counts: boolean
  /** The work goes on when its caller leaves. */
  readonly detached: Detachment
  /** `false`: callers only ever read what is there, whatever else is switched off. */
  readonly live: boolean
  readonly life: Life
  /** What a policy threw where nobody could be told. */
  readonly report: (error: unknown) => void
  readonly watch: CallWatch
}

/**
 * What is refused at once is rejected in the next microtask: before its caller could attach anything, Node would take it
 * for an unhandled rejection and then take that back, which costs 600 ns.
 */
const soon = Promise.resolve()

/** What is done when the caller of a call leaves; given the call, so that none needs a closure of its own. */
export type Departing = (reason: unknown, call: Call) => void

// Yes-or-no answers, in one field (`marks`): ten fields more in a record cost every call 80 ns.
const DONE = 1
const OWN = 2
const TIMED_BY_REQUEST = 4
const FAILED_VALUE = 8
const NON_FAILURE = 16
const INJECTED = 32
const ASKED = 64
const SHARED = 128
const BEHIND = 256

/** What an answer is, when it isn't live. */
type Story = Pick<CallOutcome<unknown>, 'source' | 'stale' | 'age' | 'alternative'>

const LIVE: Story = { source: 'live', stale: false, age: 0 }

/** The record of one caller's call, whatever number of attempts it takes. */
export class Call implements Listed<Call> {
  readonly pipeline: Pipeline
  readonly args: readonly unknown[]
  readonly options: CallOptions | undefined
  /** When it began, by the monotonic clock. */
  readonly began: number
  /** When it must be answered, by the monotonic clock; `Infinity` = never. */
  readonly deadline: number
  /** The class of route that it belongs to. */
  readonly class: string | undefined
  /** The request in whose course it is made, or what the library has put in its place. */
  readonly around: Ambient | undefined
  /** Recoverers before this index stay out of it (a flight that several callers share recovers for none of them). */
  readonly outermost: number
  private marks = 0
  attempts = 0
  attempt: Attempt | undefined = undefined
  promise: Promise<unknown> | undefined = undefined
  story: Story = LIVE
  /** What kept it from being live. */
  error: unknown = undefined
  value: unknown = undefined
  /** The stale cache's: under which key, and in what order. */
  key: string | undefined = undefined
  sequence = 0
  /** Told when the caller leaves while something other than an attempt is being waited for. */
  onLeave: ((reason: unknown) => void) | undefined = undefined
  /** Told at the deadline of the request in the same case. */
  onOverdue: ((error: DeadlineError) => void) | undefined = undefined
  private resolver: ((value: unknown) => void) | undefined = undefined
  private rejecter: ((reason: unknown) => void) | undefined = undefined
  private abortListener: (() => void) | undefined = undefined
  private departure: Departing | undefined = undefined
  older: Call | undefined = undefined
  newer: Call | undefined = undefined

  /** @param outermost given for a call that the library makes: apart from the request, under nobody's deadline or signal */
  constructor(pipeline: Pipeline, args: readonly unknown[], options: CallOptions | undefined, outermost?: number) {
    this.pipeline = pipeline
    this.args = args
    this.options = options
    if (outermost === undefined) this.own = true
    this.outermost = outermost ?? 0
    const around = (this.around = outermost === undefined ? ambient.read() : ambient.read()?.apart())
    this.class = options?.class ?? around?.class
    const now = (this.began = pipeline.clock.now())
    const deadline = deadlineOf(pipeline, options, now)
    this.deadline = around === undefined ? deadline : Math.min(deadline, around.deadline)
    if (around !== undefined && this.deadline === around.deadline) this.timedByRequest = true
  }

  get done(): boolean {
    return (this.marks & DONE) !== 0
  }

  set done(yes: boolean) {
    this.marks = yes ? this.marks | DONE : this.marks & ~DONE
  }

  /** Whether a caller made it; the library itself makes those that several callers share, or that outlive theirs. */
  get own(): boolean {
    return (this.marks & OWN) !== 0
  }

  set own(yes: boolean) {
    this.marks = yes ? this.marks | OWN : this.marks & ~OWN
  }

  /** Whether the request's own timer will say when its time is over. */
  get timedByRequest(): boolean {
    return (this.marks & TIMED_BY_REQUEST) !== 0
  }

  set timedByRequest(yes: boolean) {
    this.marks = yes ? this.marks | TIMED_BY_REQUEST : this.marks & ~TIMED_BY_REQUEST
  }

  /** `isFailure` judged `value` failed, so anything else is better. */
  get failedValue(): boolean {
    return (this.marks & FAILED_VALUE) !== 0
  }

  set failedValue(yes: boolean) {
    this.marks = yes ? this.marks | FAILED_VALUE : this.marks & ~FAILED_VALUE
  }

  /** The error isn't the dependency's failure, so nothing is served in its place. */
  get nonFailure(): boolean {
    return (this.marks & NON_FAILURE) !== 0
  }

  set nonFailure(yes: boolean) {
    this.marks = yes ? this.marks | NON_FAILURE : this.marks & ~NON_FAILURE
  }

  /** A fault was injected into one of its attempts, or of those that it shared. */
  get injected(): boolean {
    return (this.marks & INJECTED) !== 0
  }

  set injected(yes: boolean) {
    this.marks = yes ? this.marks | INJECTED : this.marks & ~INJECTED
  }

  /** The stale cache's: it has waited for the second level, and does so once. */
  get asked(): boolean {
    return (this.marks & ASKED) !== 0
  }

  set asked(yes: boolean) {
    this.marks = yes ? this.marks | ASKED : this.marks & ~ASKED
  }

  /** Several callers may wait for it, of any class: the timeout of none holds. */
  get shared(): boolean {
    return (this.marks & SHARED) !== 0
  }

  set shared(yes: boolean) {
    this.marks = yes ? this.marks | SHARED : this.marks & ~SHARED
  }

  /** Nobody waits for it: it takes neither the last slot nor a place in line. */
  get behind(): boolean {
    return (this.marks & BEHIND) !== 0
  }

  set behind(yes: boolean) {
    this.marks = yes ? this.marks | BEHIND : this.marks & ~BEHIND
  }

  /** Time left for the whole call, ms. */
  remaining(now: number): number {
    return (this.around === undefined ? this.deadline : Math.min(this.deadline, this.around.deadline)) - now
  }

  /** Whether too little time is left to start anything. */
  tooLate(now: number): boolean {
    return this.remaining(now) <= (this.around?.floor ?? 0)
  }

  /** Makes the caller's promise, if it hasn't one; `onDeparture` runs when the caller leaves, in place of an earlier one. */
  open(onDeparture: Departing): Promise<unknown> {
    this.departure = onDeparture
    if (this.promise !== undefined) return this.promise
    this.promise = new Promise((resolve, reject) => {
      this.resolver = resolve
      this.rejecter = reject
    })
    const signal = this.options?.signal
    if (signal !== undefined) this.listenTo(signal)
    this.around?.enter(this)
    return this.promise
  }

  /** The caller leaves. */
  depart(reason: unknown): void {
    if (!this.done) this.departure?.(reason, this)
  }

  /** What is served in place of a live value. */
  serve(value: unknown, story: Story): true {
    this.value = value
    this.story = story
    this.failedValue = false
    return true
  }

  /** Ends it with what was served, before any attempt. */
  answered(): Promise<unknown> {
    this.end(undefined, false)
    this.resolver?.(this.value)
    return this.promise ?? Promise.resolve(this.value)
  }

  succeed(value: unknown): void {
    if (this.done) return
    this.value = value
    this.end(undefined, false)
    this.resolver?.(value)
  }

  fail(error: unknown): void {
    if (this.done) return
    this.error = error
    this.end(error, true)
    if (this.attempt?.ran === true) this.rejecter?.(error)
    else void soon.then(() => this.rejecter?.(error))
  }

  outcome(): CallOutcome<unknown> {
    const { value, story, error } = this
    return {
      value,
      ...story,
      ...(error === undefined ? {} : { error: told(error) }),
    }
  }

  deadlineError(): DeadlineError {
    const { dependency, name } = this.pipeline
    return new DeadlineError(`${dependency} (${name}): no time left for the call`, { dependency })
  }

  private listenTo(signal: AbortSignal): void {
    this.abortListener = () => {
      this.departure?.(signal.reason, this)
    }
    signal.addEventListener('abort', this.abortListener, { once: true })
  }

  private end(error: unknown, failed: boolean): void {
    this.done = true
    if (this.abortListener !== undefined) this.options?.signal?.removeEventListener('abort', this.abortListener)
    if (this.promise !== undefined) this.around?.leave(this)
    if (this.own) this.pipeline.watch.ended?.(this, error, failed)
  }
}

/** What the call itself asks for, whatever its request says. */
export function deadlineOf(pipeline: Pipeline, options: CallOptions | undefined, now: number): number {
  const { total: own, life, clock } = pipeline
  const total = now + (options?.total ?? own ?? life.total)
  if (options?.deadline === undefined) return total
  return Math.min(total, now + Number(options.deadline) - clock.wall())
}
