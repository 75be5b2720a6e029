import * as v from 'valibot'
import type { Attempt } from '../core/attempt.js'
import type { Clock } from '../core/clock.js'
import { OptionError, RateLimitError } from '../core/errors.js'
import type { Departure, Guard, Outcome } from '../core/guard.js'
import { count, durationOrZero, frequency, group, parse } from '../core/options.js'
import type { GuardPolicy } from '../core/policy.js'
import type { Tally } from '../core/tally.js'
import { Limiter, type RateSettings } from './rate/limiter.js'

/** How many calls a second; off unless given. */
export interface RateOptions {
  /** More than 0; 0.1 is one in 10 s. */
  perSecond?: number
  /** Calls at once after a quiet time. Default a fifth of a second's, at least 1. */
  burst?: number
  /** How long a call may wait for its turn, ms. Default 0: it is refused at once. */
  maxWait?: number
}

export const rateSchema = group({
  perSecond: v.optional(frequency),
  burst: v.optional(count),
  maxWait: v.optional(durationOrZero),
})

/** @throws OptionError (`ERR_OPTION`) without `perSecond` */
export function rateSettings(
  given: v.InferOutput<typeof rateSchema> | false | undefined,
  path: string,
): RateSettings | undefined {
  if (given === undefined || given === false) return undefined
  const { perSecond, burst, maxWait = 0 } = given
  if (perSecond === undefined) throw new OptionError(`${path}.perSecond`, 'is required')
  return { perSecond, burst: burst ?? Math.max(1, Math.ceil(perSecond / 5)), maxWait }
}

/**
 * A cap on calls in a time: a flood of short ones never fills a bulkhead. In any time, at most
 * `burst` + `perSecond` × seconds pass, trials apart. A refusal says nothing of the dependency: no sample.
 *
 * A token is spent when its attempt passes, also if there is no slot for it later.
 */
export class Rate implements Guard {
  readonly kind = 'rate'
  readonly #clock: Clock
  readonly #tally: Tally
  #limiter: Limiter | undefined

  constructor(clock: Clock, tally: Tally, limiter?: Limiter) {
    this.#clock = clock
    this.#tally = tally
    this.#limiter = limiter
  }

  /** Other settings from now on; `undefined` = no limit. */
  configure(settings: RateSettings | undefined): void {
    const limiter = this.#limiter
    if (settings === undefined) {
      this.#limiter = undefined
      limiter?.open()
    } else if (limiter === undefined) this.#limiter = new Limiter(this.#clock, settings)
    else limiter.configure(settings, (attempt, wait) => this.#refusal(attempt, wait))
  }

  enter(attempt: Attempt): Error | undefined | Promise<void> {
    const limiter = this.#limiter
    if (limiter === undefined) return undefined
    if (attempt.trial) {
      // A trial never queues: recovery must not wait for its turn.
      limiter.pass(attempt.startedAt)
      return undefined
    }
    if (limiter.take(attempt)) return undefined
    const wait = limiter.due(attempt)
    return limiter.leavesRoom(wait, attempt) ? limiter.wait(attempt) : this.#refusal(attempt, wait)
  }

  settle(attempt: Attempt, outcome: Outcome): void {
    if (attempt.token !== -1 && (outcome === 'refused' || outcome === 'cancelled')) this.#limiter?.giveUp(attempt)
  }

  abandon(attempt: Attempt, _why: Departure): void {
    if (attempt.phase === 'done') this.#limiter?.giveUp(attempt)
  }

  /** Sends those away who wait for their turn. */
  dismiss(error: unknown): void {
    this.#limiter?.dismiss(error)
  }

  #refusal(attempt: Attempt, wait: number): RateLimitError {
    const { dependency } = attempt
    this.#tally.add('limited', attempt)
    return new RateLimitError(`${dependency}: no more calls a second are allowed`, { dependency, retryAfter: wait })
  }
}

/**
 * For `compose`: a cap on calls in a time. The same one put around several operations is one cap for all of them.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * compose([], [rate({ perSecond: 10, burst: 5, maxWait: 200 }), timeout(500)])(load)
 */
export function rate(options: RateOptions & { perSecond: number }): GuardPolicy {
  const settings = rateSettings(parse(rateSchema, options, 'rate'), 'rate')!
  let limiter: Limiter | undefined
  return {
    role: 'guard',
    kind: 'rate',
    make: ({ clock, tally }) => new Rate(clock, tally, (limiter ??= new Limiter(clock, settings))),
  }
}
