import type { Attempt } from '../core/attempt.js'
import type { Clock } from '../core/clock.js'
import { Deadlines } from '../core/deadlines.js'
import type { Guard } from '../core/guard.js'
import { duration, parse } from '../core/options.js'
import type { GuardPolicy } from '../core/policy.js'
import { timedOut } from '../core/within.js'

/** Deadlines by their length: every operation of a dependency with the same timeout shares one timer. */
export class Timeouts {
  readonly #clock: Clock
  readonly #byLength = new Map<number, Deadlines<Attempt>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  of(ms: number): Deadlines<Attempt> {
    let deadlines = this.#byLength.get(ms)
    if (deadlines === undefined)
      this.#byLength.set(ms, (deadlines = new Deadlines<Attempt>(this.#clock, ms, 'shared', timedOut)))
    return deadlines
  }

  close(): void {
    for (const deadlines of this.#byLength.values()) deadlines.close()
  }

  /** For a time that no other attempt is likely to share. */
  single(attempt: Attempt, ms: number, now: number): void {
    new Deadlines<Attempt>(this.#clock, ms, 'single', timedOut).add(attempt, now)
  }
}

/** How long attempts may take; shared by operations that name no time of their own, and changed at run time. */
export interface Limits {
  own: Deadlines<Attempt>
  /** Of classes, where the operation itself names none. */
  byClass: ReadonlyMap<string, number>
}

/**
 * Bounds an attempt from the moment its operation starts: the caller is answered, the signal aborts, one sample is
 * given, and the slot stays taken until the work really ends.
 */
export class Timeout implements Guard {
  readonly kind = 'timeout'
  readonly #timeouts: Timeouts
  readonly #limits: Limits

  constructor(timeouts: Timeouts, limits: Limits | number) {
    this.#timeouts = timeouts
    this.#limits = typeof limits === 'number' ? { own: timeouts.of(limits), byClass: new Map() } : limits
  }

  enter(attempt: Attempt): Error | undefined {
    const { call, startedAt: now } = attempt
    const { options } = call
    const { own, byClass } = this.#limits
    let deadlines = own
    if (call.class !== undefined && !call.shared && byClass.size > 0) {
      const ofClass = byClass.get(call.class)
      if (ofClass !== undefined) deadlines = this.#timeouts.of(ofClass)
    }
    let limit = deadlines.ms
    if (options?.timeout !== undefined && options.timeout !== limit) {
      if (options.timeout < limit) attempt.cut = 'timeout'
      limit = options.timeout
    }
    const remaining = call.deadline - now
    if (remaining < limit) {
      if (remaining <= 0) return call.deadlineError()
      attempt.cut = 'deadline'
      attempt.due = call.deadline
      // One timer a request is enough for all that it waits for.
      if (call.timedByRequest) return undefined
      limit = remaining
    }
    if (limit === deadlines.ms) deadlines.add(attempt, now)
    else this.#timeouts.single(attempt, limit, now)
    return undefined
  }

  settle(attempt: Attempt): void {
    attempt.deadlines?.remove(attempt)
  }

  abandon(attempt: Attempt): void {
    attempt.deadlines?.remove(attempt)
  }
}

/**
 * For `compose`: bounds each attempt from the moment its operation starts.
 *
 * @param ms more than 0
 * @throws OptionError (`ERR_OPTION`) for anything else
 * @example
 * compose([], [timeout(500)])(load)
 */
export function timeout(ms: number): GuardPolicy {
  const own = parse(duration, ms, 'timeout')
  return { role: 'guard', kind: 'timeout', make: ({ clock }) => new Timeout(new Timeouts(clock), own) }
}
