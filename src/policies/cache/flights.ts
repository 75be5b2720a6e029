import type { Call } from '../../core/call.js'
import type { Deadlines } from '../../core/deadlines.js'
import { Flight, workOf, type Passenger } from './flight.js'

/** Flights at once; calls beyond go alone. */
const MOST = 10_000

/** Single flight: callers of the same key share one call. It is aborted only when every caller has left. */
export class Flights {
  /** Only the recoverers from here on belong to a flight. */
  readonly #outermost: number
  readonly #failed: (key: string) => void
  readonly #joined: () => void
  readonly #flights = new Map<string, Flight>()

  /** @param failed told of a flight whose operation brought nothing good, before any of its callers */
  constructor(outermost: number, failed: (key: string) => void, joined: () => void) {
    this.#outermost = outermost
    this.#failed = failed
    this.#joined = joined
  }

  get(key: string): Flight | undefined {
    return this.#flights.get(key)
  }

  /** Joins the flight of the key, or takes off; `undefined` when there are too many. */
  join(caller: Call, key: string, soft: Deadlines<Passenger> | undefined): Promise<unknown> | undefined {
    const flying = this.#flights.get(key)
    if (flying === undefined) return this.takeOff(workOf(caller, this.#outermost, true), key)?.board(caller, true, soft)
    this.#joined()
    return flying.board(caller, false, soft)
  }

  /** A flight of the caller's own, so that its work goes on when the caller has been served. */
  alone(caller: Call, soft: Deadlines<Passenger>): Promise<unknown> {
    return new Flight(workOf(caller, this.#outermost, false), this.#down).board(caller, true, soft)
  }

  /** Loads the key for nobody in particular, unless that is being done. */
  behind(caller: Call, key: string): Flight | undefined {
    if (this.#flights.has(key)) return undefined
    const call = workOf(caller, this.#outermost, true)
    call.behind = true
    return this.takeOff(call, key)
  }

  /** What others may join. */
  takeOff(call: Call, key: string): Flight | undefined {
    if (this.#flights.size >= MOST) return undefined
    const flight = new Flight(call, this.#down)
    if (!flight.refused) this.#flights.set(key, flight)
    return flight
  }

  /** Nobody joins it any more: what it brings is out of date. */
  close(key: string): void {
    this.#flights.delete(key)
  }

  closeAll(): void {
    this.#flights.clear()
  }

  readonly #down = (flight: Flight): void => {
    const key = flight.call.key!
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
    if (flight.failed) this.#failed(key)
  }
}
