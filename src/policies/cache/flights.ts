import { inside } from '../../core/ambient.js'
import { abandon, launch, leave, recover, tryOnce } from '../../core/runner.js'
import { bound } from '../../core/bound.js'
import { Call, type CallOptions } from '../../core/call.js'
import { CallTimeoutError } from '../../core/errors.js'
import type { Departure } from '../../core/guard.js'

/** Flights at once; calls beyond go alone. */
const MOST = 10_000

interface Flight {
  /** The shared call: under the operation's own timeout, nobody's deadline, nobody's signal, and in no caller's request. */
  readonly call: Call
  readonly landed: Promise<unknown>
  readonly callers: Set<Call>
}

/** Single flight: callers of the same key share one call. It is aborted only when every caller has left. */
export class Flights {
  /** The index of the recoverer that asks; only the ones further in belong to the flight. */
  readonly #index: number
  readonly #failed: (key: string) => void
  readonly #flights = new Map<string, Flight>()

  constructor(index: number, failed: (key: string) => void) {
    this.#index = index
    this.#failed = failed
  }

  /** Joins the flight of the key, or takes off. */
  join(caller: Call, key: string, joined: () => void): Promise<unknown> | undefined {
    let flight = this.#flights.get(key)
    if (flight === undefined) {
      if (this.#flights.size >= MOST) return undefined
      flight = this.#takeOff(caller, key)
    } else joined()
    return this.#board(caller, flight, key)
  }

  /** Nobody joins it any more: what it brings is out of date. */
  close(key: string): void {
    this.#flights.delete(key)
  }

  closeAll(): void {
    this.#flights.clear()
  }

  #takeOff(leader: Call, key: string): Flight {
    const options: CallOptions = { total: Infinity }
    if (leader.class !== undefined) options.class = leader.class
    if (leader.options?.label !== undefined) options.label = leader.options.label
    const call = new Call(leader.pipeline, leader.args, options, this.#index + 1)
    call.key = key
    call.sequence = leader.sequence
    const landed = inside(call.around, () => launch(call))
    const flight: Flight = { call, landed, callers: new Set() }
    this.#flights.set(key, flight)
    const land = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
    flight.landed.then(land, land)
    return flight
  }

  #board(caller: Call, flight: Flight, key: string): Promise<unknown> {
    const leader = flight.callers.size === 0
    flight.callers.add(caller)
    const promise = caller.open((reason) => {
      this.#leave(caller, flight, key, 'aborted', reason)
      leave(caller, reason)
    })
    this.#patiently(caller, flight, key).then(
      (value) => {
        this.#landed(caller, flight, key, value)
      },
      (error: unknown) => {
        this.#crashed(caller, flight, key, error, leader)
      },
    )
    return promise
  }

  /** The flight's result, no later than the caller's own deadline or timeout. */
  #patiently(caller: Call, flight: Flight, key: string): Promise<unknown> {
    const asked = caller.options?.timeout ?? Infinity
    const remaining = caller.remaining(caller.began)
    const patience = Math.min(asked, remaining)
    if (patience === Infinity || flight.call.done) return flight.landed
    // A timer of its own would come too late for the end of a gather, which waits for nobody.
    if (remaining <= asked && caller.timedByRequest) return this.#untilOverdue(caller, flight, key)
    const { clock, dependency, name } = caller.pipeline
    return bound(clock, flight.landed, patience, () => {
      const error =
        remaining <= asked
          ? caller.deadlineError()
          : new CallTimeoutError(`${dependency} (${name}): no answer within ${asked} ms`, { dependency })
      this.#leave(caller, flight, key, 'cut', error)
      throw error
    })
  }

  #untilOverdue(caller: Call, flight: Flight, key: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      flight.landed.then(resolve, reject)
      caller.onOverdue = (error) => {
        this.#leave(caller, flight, key, 'cut', error)
        reject(error)
      }
    })
  }

  #landed(caller: Call, { call, callers }: Flight, key: string, value: unknown): void {
    callers.delete(caller)
    caller.attempts += call.attempts
    caller.injected ||= call.injected
    if (!call.failedValue) {
      caller.succeed(value)
      return
    }
    this.#failed(key)
    caller.value = value
    caller.failedValue = true
    recover(caller, call.error)
  }

  #crashed(caller: Call, { call, callers }: Flight, key: string, error: unknown, leader: boolean): void {
    const left = !callers.delete(caller)
    if (caller.done) return
    caller.attempts += call.attempts
    caller.injected ||= call.injected
    if (left) {
      // Its own time was over: that says nothing of the load, and nothing may start for it any more.
      recover(caller, error)
      return
    }
    const refused = call.attempt?.phase === 'done' && !call.attempt.ran
    if (call.nonFailure) caller.fail(error)
    else if (refused && !leader) tryOnce(caller)
    else {
      if (!refused) this.#failed(key)
      recover(caller, error)
    }
  }

  #leave(caller: Call, flight: Flight, key: string, why: Departure, reason: unknown): void {
    caller.injected ||= flight.call.injected
    if (!flight.callers.delete(caller) || flight.callers.size > 0 || flight.call.done) return
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
    // Said here, because `leave` takes every departure for an abort, and one that was cut short may be a slow sample.
    if (flight.call.attempt !== undefined) abandon(flight.call.attempt, why, reason)
    leave(flight.call, reason)
    // What its operation has called is told too, now that nobody waits for it.
    flight.call.around?.abort(reason)
  }
}
