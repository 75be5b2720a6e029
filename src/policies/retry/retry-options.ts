import * as v from 'valibot'
import { backoffSchema, backoffSettings, type Backoff, type BackoffOptions } from '../../core/backoff.js'
import { OptionError } from '../../core/errors.js'
import { countOrZero, fn, frequencyOrZero, group, ratioOrZero } from '../../core/options.js'
import type { BudgetSettings } from './budget.js'

/** The longest back-off unless another is given, ms. */
const LONGEST = 10_000

/** What one operation may say of its retries. */
export interface OperationRetryOptions {
  /** Attempts after the first; 0 = none. Default 1. */
  retries?: number
  /** The wait before each, by chance between nothing and this. Default: 100 ms, doubling, at most 10 s. */
  backoff?: BackoffOptions
  /** Whether this failure may be tried again. Default: every failure and timeout may, and no refusal. If it throws: no. */
  when?: (error: unknown) => boolean
}

/** Another try after a failure; off unless given. */
export interface RetryOptions extends OperationRetryOptions {
  /**
   * The load that retries may add: the larger of `ratio` × calls and `perSecond`, whose defaults are 0.1 and 3.
   */
  budget?: { ratio?: number; perSecond?: number }
}

type When = NonNullable<OperationRetryOptions['when']>

const entries = {
  retries: v.optional(countOrZero),
  backoff: v.optional(backoffSchema),
  when: v.optional(fn<When>()),
}

export const operationRetrySchema = group(entries)

export const retrySchema = group({
  ...entries,
  budget: v.optional(group({ ratio: v.optional(ratioOrZero), perSecond: v.optional(frequencyOrZero) })),
})

/** What an operation has said, and its dependency has not. */
export interface OperationRetry {
  retries: number | undefined
  backoff: Backoff | undefined
  when: When | undefined
}

/** Complete; no `retries` = off. */
export interface RetrySettings {
  retries: number
  backoff: Backoff
  when: When | undefined
  budget: BudgetSettings
}

/** @throws OptionError (`ERR_OPTION`) for what contradicts itself */
export function retrySettings(
  given: v.InferOutput<typeof retrySchema> | false | undefined,
  path: string,
): RetrySettings {
  const said = given === undefined || given === false ? { retries: 0 } : given
  const { ratio = 0.1, perSecond = 3 } = said.budget ?? {}
  if (ratio === 0 && perSecond === 0) throw new OptionError(`${path}.budget`, 'allows nothing; give retries: 0')
  return {
    retries: said.retries ?? 1,
    backoff: backoffSettings(said.backoff ?? {}, `${path}.backoff`, LONGEST),
    when: said.when,
    budget: { ratio, perSecond },
  }
}

export function operationRetry(
  given: v.InferOutput<typeof operationRetrySchema> | false | undefined,
): OperationRetry | undefined {
  if (given === undefined) return undefined
  if (given === false) return { retries: 0, backoff: undefined, when: undefined }
  const backoff = given.backoff === undefined ? undefined : backoffSettings(given.backoff, 'retry.backoff', LONGEST)
  return { retries: given.retries, backoff, when: given.when }
}
