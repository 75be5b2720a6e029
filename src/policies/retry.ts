import { grown, type Backoff } from '../core/backoff.js'
import type { Call } from '../core/call.js'
import { CofferdamError } from '../core/errors.js'
import type { Recoverer, Recovery } from '../core/guard.js'
import { parse } from '../core/options.js'
import type { PolicyHost, RecovererPolicy } from '../core/policy.js'
import { Retries } from './retry/retries.js'
import { retryAfterOf } from './retry/retry-after.js'
import { retrySchema, retrySettings, type OperationRetry, type RetryOptions } from './retry/retry-options.js'

/**
 * Another attempt after a failure, within a budget: it passes the circuit and takes a slot anew. Innermost of the
 * recoverers, so what a flight shares is tried again once for all.
 *
 * Only what has run and failed is tried again. What we refuse ourselves is not: that the dependency is unavailable, or
 * that every slot is taken, is not changed by one more in the line, and waiting is what the line is for.
 */
export class Retry implements Recoverer {
  readonly kind = 'retry'
  readonly #host: PolicyHost
  readonly #retries: Retries
  readonly #own: OperationRetry | undefined

  /** @param own what the operation has to say of it, in place of the dependency's */
  constructor(host: PolicyHost, retries: Retries, own: OperationRetry | undefined) {
    this.#host = host
    this.#retries = retries
    this.#own = own
  }

  recover(call: Call, error: unknown): boolean | Promise<Recovery> {
    const { settings } = this.#retries
    const most = this.#own === undefined ? settings.retries : (this.#own.retries ?? (settings.retries || 1))
    if (call.attempts > most || !hasRun(call) || !mayPass(error) || !this.#retries.available) return false
    const when = this.#own?.when ?? settings.when
    if (when !== undefined && !when(error)) return false
    const wait = this.#wait(call, error, this.#own?.backoff ?? settings.backoff)
    if (wait === undefined) return false
    const { tally } = this.#host
    if (this.#retries.budget.take(call.pipeline.inFlight.begun)) return this.#retries.wait(call, wait, tally)
    tally.add('budgetExhausted', call.attempt)
    return false
  }

  /**
   * How long, ms; `undefined` when there isn't so much time, or the error asks for more than would ever be waited.
   * "Full jitter": "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
   */
  #wait(call: Call, error: unknown, backoff: Backoff): number | undefined {
    const { clock } = this.#host
    const asked = retryAfterOf(error, clock.wall()) ?? 0
    if (asked > backoff.atMost) return undefined
    const wait = asked + grown(backoff, call.attempts) * clock.random()
    const floor = call.around?.floor ?? 0
    return wait < call.remaining(clock.now()) - floor ? wait : undefined
  }
}

/** Whether its attempt's operation was begun; one that was refused never was. */
function hasRun({ attempt }: Call): boolean {
  return attempt !== undefined && (attempt.ran || attempt.phase === 'abandoned')
}

/** Ours, from here or from a call further in, are refusals that stand for a while; all but these two. */
function mayPass(error: unknown): boolean {
  return !(error instanceof CofferdamError) || error.code === 'ERR_CALL_TIMEOUT' || error.code === 'ERR_FAILED_VALUE'
}

/**
 * For `compose`: another attempt after a failure. Each operation has a budget of its own. Only for what may run twice.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * compose([retry({ retries: 2 })], [bulkhead({ slots: 10 }), timeout(500)])(load)
 */
export function retry(options: RetryOptions = {}): RecovererPolicy {
  const settings = retrySettings(parse(retrySchema, options, 'retry'), 'retry')
  return {
    role: 'recoverer',
    kind: 'retry',
    make: (host) => new Retry(host, new Retries(host.clock, settings, host.available), undefined),
  }
}
