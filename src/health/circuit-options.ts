import * as v from 'valibot'
import { OptionError } from '../core/errors.js'
import { age, count, duration, durationOrZero, factor, fn, group, oneOf, ratio } from '../core/options.js'
import type { SlowCall } from './baseline.js'
import type { RuleOptions } from './rule.js'

export const circuitSchema = group({
  window: v.optional(
    v.union([duration, group({ calls: count, maxAge: v.optional(age) })], 'must be milliseconds, or { calls, maxAge }'),
  ),
  minimumCalls: v.optional(count),
  failureRate: v.optional(ratio),
  slowCall: v.optional(
    v.union(
      [duration, group({ timesBaseline: v.optional(factor), atLeast: v.optional(duration) })],
      'must be milliseconds, or { timesBaseline, atLeast }',
    ),
  ),
  slowRate: v.optional(ratio),
  consecutiveFailures: v.optional(v.union([v.literal(false), count], 'must be a whole number, 1 or more, or false')),
  openFor: v.optional(duration),
  openForAtMost: v.optional(duration),
  rampFor: v.optional(durationOrZero),
  warnRate: v.optional(ratio),
  recover: v.optional(oneOf(['itself', 'operator'])),
  isFailure: v.optional(fn<IsFailure>()),
})

/** Says whether what an attempt brought is a failure of the dependency. */
export type IsFailure = (result: { error?: unknown; value?: unknown }) => boolean

/** When a dependency becomes unavailable, and how it comes back. */
export interface CircuitOptions {
  /**
   * What is looked at: the calls of the last so many ms, or the last so many calls that are not older than `maxAge` ms.
   * Default 10,000; `maxAge` 60,000.
   */
  window?: number | { calls: number; maxAge?: number }
  /** Below this number of calls in the window no rate trips. Default 20, or the window's `calls` if those are fewer. */
  minimumCalls?: number
  /** Trips when this share of the calls failed, or more. 0 to 1, default 0.5. */
  failureRate?: number
  /**
   * From when on a call is slow: in ms, or against the dependency's own average over healthy calls.
   * Default `{ timesBaseline: 5, atLeast: 250 }`.
   */
  slowCall?: number | { timesBaseline?: number; atLeast?: number }
  /** Trips when this share of the calls was slow, or more. 0 to 1, default 0.8. */
  slowRate?: number
  /** Trips after so many failures in a row while there are fewer than `minimumCalls`; `false` = never. Default 10. */
  consecutiveFailures?: number | false
  /** How long it stays open before a trial, ms; doubled by each failed recovery, with jitter. Default 5,000. */
  openFor?: number
  /** The limit of that, ms. Default 60,000. */
  openForAtMost?: number
  /** After a recovery the slots rise from 1 to their full number over so many ms; 0 = at once. Default 10,000. */
  rampFor?: number
  /** A warning, and no flip, from this share of failed calls on; cleared below half of it. 0 to 1, default 0.1; 1 = none. */
  warnRate?: number
  /** `operator`: after an outage a person has the last word, by `registry.acknowledge`. Default `itself`. */
  recover?: 'itself' | 'operator'
  /**
   * Whether a result is a failure of the dependency. By default every error is, except one with an HTTP-like 4xx
   * `status` or `statusCode`. Never asked about timeouts; if it throws, the default holds. A value that it judges
   * failed is returned when there is nothing better, and never cached.
   */
  isFailure?: IsFailure
}

/** The same, complete. */
export interface CircuitSettings extends RuleOptions {
  window: number | { calls: number; maxAge: number }
  slowCall: number | SlowCall
  openFor: number
  openForAtMost: number
  rampFor: number
  warnRate: number
  recover: 'itself' | 'operator'
  isFailure: IsFailure | undefined
}

/** Fills in defaults, clamped to what was given; what was given and contradicts itself throws. */
export function circuitSettings(
  given: v.InferOutput<typeof circuitSchema>,
  path: string,
  timeout: number,
): CircuitSettings {
  const window =
    typeof given.window === 'object' ? { maxAge: 60_000, ...defined(given.window) } : (given.window ?? 10_000)
  const most = typeof window === 'object' ? window.calls : Infinity
  if (given.minimumCalls !== undefined && given.minimumCalls > most)
    throw new OptionError(`${path}.minimumCalls`, `${given.minimumCalls} calls never fit into a window of ${most}`)
  const { openFor, openForAtMost } = given
  if (openFor !== undefined && openForAtMost !== undefined && openForAtMost < openFor)
    throw new OptionError(`${path}.openForAtMost`, `${openForAtMost} is less than openFor, ${openFor}`)
  const { warnRate, failureRate = 0.5 } = given
  if (warnRate !== undefined && given.failureRate !== undefined && warnRate < 1 && warnRate >= given.failureRate)
    throw new OptionError(`${path}.warnRate`, `${warnRate} is not below failureRate, ${given.failureRate}`)
  return {
    window,
    minimumCalls: given.minimumCalls ?? Math.min(20, most),
    failureRate,
    slowCall: slowCall(given.slowCall, timeout),
    slowRate: given.slowRate ?? 0.8,
    consecutiveFailures: given.consecutiveFailures ?? 10,
    openFor: openFor ?? Math.min(5_000, openForAtMost ?? Infinity),
    openForAtMost: openForAtMost ?? Math.max(60_000, openFor ?? 0),
    rampFor: given.rampFor ?? 10_000,
    warnRate: warnRate ?? Math.min(0.1, failureRate / 2),
    recover: given.recover ?? 'itself',
    isFailure: given.isFailure,
  }
}

function slowCall(given: v.InferOutput<typeof circuitSchema>['slowCall'], timeout: number): number | SlowCall {
  if (typeof given === 'number') return given
  return { timesBaseline: given?.timesBaseline ?? 5, atLeast: given?.atLeast ?? Math.min(250, timeout) }
}

function defined<T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}
