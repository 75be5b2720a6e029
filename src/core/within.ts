import type { Attempt } from './attempt.js'
import type { Clock } from './clock.js'
import { Deadlines } from './deadlines.js'
import { CallTimeoutError } from './errors.js'
import type { Guard } from './guard.js'
import { expire } from './runner.js'

/**
 * Stands in for `timeout` where an operation is composed without one: what the call itself asks for (`total`, its
 * deadline, its timeout) still holds, so that a hung operation can't keep a caller who said how long it waits.
 */
export class Within implements Guard {
  readonly kind = 'within'
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  enter(attempt: Attempt): Error | undefined {
    const { call, startedAt: now } = attempt
    const asked = call.options?.timeout ?? Infinity
    const remaining = call.deadline - now
    if (remaining <= 0) return call.deadlineError()
    if (asked === Infinity && remaining === Infinity) return undefined
    attempt.cut = remaining < asked ? 'deadline' : 'timeout'
    new Deadlines<Attempt>(this.#clock, Math.min(asked, remaining), 'single', timedOut).add(attempt, now)
    return undefined
  }

  settle(attempt: Attempt): void {
    attempt.deadlines?.remove(attempt)
  }

  abandon(attempt: Attempt): void {
    attempt.deadlines?.remove(attempt)
  }
}

/** The time of an attempt is over: its caller is answered, with the error that says whose time it was. */
export function timedOut(attempt: Attempt): void {
  const { call, due, startedAt, cut } = attempt
  const { dependency, name } = call.pipeline
  if (cut === 'deadline') expire(attempt, 'cut', call.deadlineError())
  else {
    const ms = Math.round(due - startedAt)
    const error = new CallTimeoutError(`${dependency} (${name}): no answer within ${ms} ms`, { dependency })
    expire(attempt, cut === undefined ? 'timeout' : 'cut', error)
  }
}
