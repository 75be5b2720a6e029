import { inside } from '../../core/ambient.js'
import type { Attempt } from '../../core/attempt.js'
import { abandon, launch, leave, recover, tryOnce } from '../../core/runner.js'
import { bound } from '../../core/bound.js'
import { Call, type CallOptions } from '../../core/call.js'
import type { Deadlines, Timed } from '../../core/deadlines.js'
import { CallTimeoutError } from '../../core/errors.js'
import type { Departure } from '../../core/guard.js'

/** A caller aboard; in a list of soft timeouts while it may be served something stale instead. */
export class Passenger implements Timed<Passenger> {
  readonly caller: Call
  flight: Flight
  /** The flight took off for it, so a refusal of the flight is its own. */
  leads: boolean
  left = false
  due = Infinity
  deadlines: Deadlines<Passenger> | undefined = undefined
  sooner: Passenger | undefined = undefined
  later: Passenger | undefined = undefined

  constructor(caller: Call, flight: Flight, leads: boolean) {
    this.caller = caller
    this.flight = flight
    this.leads = leads
  }
}

/** A call of the library's, apart from every request: under its own timeout, nobody's deadline and nobody's signal. */
export class Flight {
  readonly call: Call
  readonly landed: Promise<unknown>
  /** Callers who have not left; one that was served something stale has not. */
  #aboard: number
  #deserted = false
  #rejected = false
  readonly #down: (flight: Flight) => void

  /** @param down runs when it has landed, before any caller is told; and at once when nobody is left aboard */
  constructor(call: Call, down: (flight: Flight) => void) {
    this.call = call
    this.#down = down
    // What runs behind goes on whoever leaves.
    this.#aboard = call.behind ? 1 : 0
    this.landed = inside(call.around, () => launch(call))
    this.landed.then(
      () => {
        down(this)
      },
      () => {
        this.#rejected = true
        down(this)
      },
    )
  }

  /** It was not let through, so it says nothing of the load. */
  get refused(): boolean {
    const { attempt, attempts } = this.call
    return attempts === 1 && attempt?.phase === 'done' && !attempt.ran
  }

  /** Its operation has brought nothing good, and it was not cut short. */
  get failed(): boolean {
    const { call } = this
    if (this.#deserted || call.nonFailure) return false
    return call.failedValue || (this.#rejected && loadFailed(call.attempt))
  }

  /** @param soft when it is served something stale, if there is something */
  board(caller: Call, leads: boolean, soft: Deadlines<Passenger> | undefined): Promise<unknown> {
    const passenger = new Passenger(caller, this, leads)
    const promise = caller.open((reason) => {
      passenger.deadlines?.remove(passenger)
      passenger.flight.#leave(passenger, 'aborted', reason)
      leave(caller, reason)
    })
    // With an answer already there nobody needs a timer.
    if (!this.call.done) soft?.add(passenger, caller.began)
    // Who has waited for the second level has less time left than it began with.
    this.#take(passenger, caller.asked ? caller.pipeline.clock.now() : caller.began)
    return promise
  }

  /** What stands further in belongs to the flight, and has been asked once for all. */
  #recover(caller: Call, error: unknown): void {
    recover(caller, error, this.call.outermost - 1)
  }

  #take(passenger: Passenger, now: number): void {
    this.#aboard++
    this.#patiently(passenger, now).then(
      (value) => {
        this.#arrived(passenger, value)
      },
      (error: unknown) => {
        this.#crashed(passenger, error)
      },
    )
  }

  /** The flight's result, no later than the caller's own deadline or timeout. */
  #patiently(passenger: Passenger, now: number): Promise<unknown> {
    const { caller } = passenger
    const asked = this.#patienceOf(caller)
    const remaining = caller.remaining(now)
    const patience = Math.min(asked, remaining)
    if (patience === Infinity || this.call.done) return this.landed
    // A timer of its own would come too late for the end of a gather, which waits for nobody.
    if (remaining <= asked && caller.timedByRequest) return this.#untilOverdue(passenger)
    const { clock, dependency, name } = caller.pipeline
    return bound(clock, this.landed, patience, () => {
      const error =
        remaining <= asked
          ? caller.deadlineError()
          : new CallTimeoutError(`${dependency} (${name}): no answer within ${asked} ms`, { dependency })
      this.#leave(passenger, 'cut', error)
      throw error
    })
  }

  /** A flight of the caller's own is under the caller's timeout itself; a refresh may have more time than callers have. */
  #patienceOf(caller: Call): number {
    const { shared, options, pipeline } = this.call
    if (!shared) return Infinity
    if (caller.options?.timeout !== undefined) return caller.options.timeout
    const usual = pipeline.patience ?? pipeline.life.patience
    return options?.timeout !== undefined && options.timeout > usual ? usual : Infinity
  }

  #untilOverdue(passenger: Passenger): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.landed.then(resolve, reject)
      passenger.caller.onOverdue = (error) => {
        this.#leave(passenger, 'cut', error)
        reject(error)
      }
    })
  }

  #arrived(passenger: Passenger, value: unknown): void {
    const { call } = this
    const { caller } = passenger
    passenger.deadlines?.remove(passenger)
    if (caller.done) return
    caller.attempts += call.attempts
    caller.injected ||= call.injected
    if (!call.failedValue) {
      caller.succeed(value)
      return
    }
    caller.value = value
    caller.failedValue = true
    this.#recover(caller, call.error)
  }

  #crashed(passenger: Passenger, error: unknown): void {
    const { call } = this
    const { caller } = passenger
    if (caller.done) {
      passenger.deadlines?.remove(passenger)
      return
    }
    caller.attempts += call.attempts
    caller.injected ||= call.injected
    if (this.refused && !passenger.leads && !passenger.left) {
      this.#goAlone(passenger)
      return
    }
    passenger.deadlines?.remove(passenger)
    // A caller whose own time was over left: that says nothing of the load, and nothing may start for it any more.
    if (call.nonFailure && !passenger.left) caller.fail(error)
    else this.#recover(caller, error)
  }

  /** A refusal is each caller's own, so a joiner tries by itself: where it may be served before, in a flight of its own. */
  #goAlone(passenger: Passenger): void {
    const { caller } = passenger
    const now = caller.pipeline.clock.now()
    if (passenger.deadlines === undefined || caller.tooLate(now)) {
      passenger.deadlines?.remove(passenger)
      tryOnce(caller, now)
      return
    }
    passenger.leads = true
    passenger.flight = new Flight(workOf(caller, this.call.outermost, false), this.#down)
    passenger.flight.#take(passenger, now)
  }

  #leave(passenger: Passenger, why: Departure, reason: unknown): void {
    passenger.caller.injected ||= this.call.injected
    const { call } = this
    if (passenger.left || passenger.caller.done || call.done) return
    passenger.left = true
    if (--this.#aboard > 0) return
    this.#deserted = true
    this.#down(this)
    // Said here, because `leave` takes every departure for an abort, and one that was cut short may be a slow sample.
    if (call.attempt !== undefined) abandon(call.attempt, why, reason)
    leave(call, reason)
    // What its operation has called is told too, now that nobody waits for it.
    call.around?.abort(reason)
  }
}

/** What flies for a caller; only recoverers further in than `outermost` belong to it. */
export function workOf(caller: Call, outermost: number, shared: boolean): Call {
  const options: CallOptions = { total: Infinity }
  if (caller.class !== undefined) options.class = caller.class
  if (caller.options?.label !== undefined) options.label = caller.options.label
  if (!shared && caller.options?.timeout !== undefined) options.timeout = caller.options.timeout
  const call = new Call(caller.pipeline, caller.args, options, outermost)
  call.key = caller.key
  call.sequence = caller.sequence
  call.shared = shared
  return call
}

/** Its operation ran and brought nothing good in its own time; one that was cut short has not failed. */
export function loadFailed(attempt: Attempt | undefined): boolean {
  if (attempt === undefined) return false
  return attempt.phase === 'abandoned' ? attempt.cut === undefined : attempt.ran
}
