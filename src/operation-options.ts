import * as v from 'valibot'
import type { Detachment } from './core/call.js'
import { OptionError } from './core/errors.js'
import { duration, flag, group, orFalse, parse, text } from './core/options.js'
import { inBandSchema, type InBandInvariant } from './health/invariant-definition.js'
import {
  cacheEntries,
  cacheSettings,
  checkSoftTimeout,
  type CacheDefaults,
  type CacheOptions,
  type CacheSettings,
} from './policies/cache/cache-options.js'
import { alternatives, fallbackSchema, type Alternative, type AnyAlternative } from './policies/fallback.js'
import {
  operationRetry,
  operationRetrySchema,
  type OperationRetry,
  type OperationRetryOptions,
} from './policies/retry/retry-options.js'

const schema = group({
  ...cacheEntries,
  name: v.optional(text),
  fallback: v.optional(fallbackSchema),
  invariant: v.optional(inBandSchema),
  counts: v.optional(flag),
  idempotent: v.optional(flag),
  retry: v.optional(orFalse(operationRetrySchema)),
  detached: v.optional(flag),
  label: v.optional(text),
  timeout: v.optional(duration),
  total: v.optional(duration),
})

/** What is particular to one operation of a dependency. */
export interface OperationOptions<A extends unknown[], R> extends CacheOptions<A, R> {
  /** In cache keys, events and errors. Default: the function's name; required when it is cached in a second-level store. */
  name?: string
  /**
   * What is served when there is nothing live and nothing stale: a function, a wrapped operation (it gets the original
   * arguments), `{ value }`, or several of these in order.
   */
  fallback?: Alternative<A, R> | readonly Alternative<A, R>[]
  /**
   * Checks each result before its caller sees it, and withholds one that breaks it (`ERR_INVARIANT`): made by
   * `monotonic`, or by `identity` with `of`.
   */
  invariant?: InBandInvariant<R>
  /** `false`: batch work whose attempts must not judge the dependency. Default true. */
  counts?: boolean
  /** `false`: running it twice does harm, so it is never retried, and once begun it goes on, as if `detached`. Default true. */
  idempotent?: boolean
  /** In place of what the dependency's `retry` says; the budget is the dependency's. */
  retry?: OperationRetryOptions | false
  /**
   * `true`: the work goes on when its caller leaves, or the request's client, and begins even then: what undoes a
   * half-done change is called just then. Default: it goes on, and doesn't begin, when it isn't `idempotent`.
   */
  detached?: boolean
  /** Shown by `inFlight()`; a call's own label goes before it. */
  label?: string
  /** In place of the dependency's, for each attempt, ms. */
  timeout?: number
  /** In place of the dependency's, for the whole call, ms. */
  total?: number
}

/** The same, complete. */
export interface OperationSettings {
  name: string | undefined
  cache: CacheSettings | undefined
  fallback: readonly AnyAlternative[] | undefined
  invariant: InBandInvariant<never> | undefined
  counts: boolean
  detached: Detachment
  /** Whether it may run twice. */
  idempotent: boolean
  retry: OperationRetry | undefined
  label: string | undefined
  timeout: number | undefined
  total: number | undefined
}

export function operationSettings(
  input: unknown,
  defaults: CacheDefaults & { store?: object | undefined },
): OperationSettings {
  const given = parse(schema, input)
  if (given.total !== undefined && given.timeout !== undefined && given.total < given.timeout)
    throw new OptionError('total', `${given.total} is less than timeout, ${given.timeout}`)
  if (given.key !== undefined && given.name === undefined && defaults.store !== undefined)
    throw new OptionError('name', 'is required with a second-level store, where processes find a value by it')
  checkSoftTimeout(given.softTimeout, given.timeout, '')
  const cache = cacheSettings(given, defaults, '')
  // One of them was written without the other in mind: nobody waits longer than for the call itself.
  if (cache?.softTimeout !== undefined && given.timeout !== undefined)
    cache.softTimeout = Math.min(cache.softTimeout, given.timeout)
  const retry = operationRetry(given.retry)
  if (given.idempotent === false && retry !== undefined && retry.retries !== 0)
    throw new OptionError('retry', 'contradicts idempotent: false')
  return {
    name: given.name,
    cache,
    fallback: given.fallback === undefined ? undefined : alternatives(given.fallback),
    invariant: given.invariant,
    counts: given.counts ?? true,
    idempotent: given.idempotent ?? true,
    retry,
    detached: detachment(given.detached, given.idempotent),
    label: given.label,
    timeout: given.timeout,
    total: given.total,
  }
}

function detachment(detached: boolean | undefined, idempotent: boolean | undefined): Detachment {
  if (detached === undefined) return idempotent === false ? 'once begun' : 'never'
  return detached ? 'always' : 'never'
}
