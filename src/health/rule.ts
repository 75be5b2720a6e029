import type { Figures } from './window.js'

/** What makes a dependency unavailable, in numbers. */
export interface RuleOptions {
  minimumCalls: number
  failureRate: number
  slowRate: number
  consecutiveFailures: number | false
}

/** Why the rule would trip, in words for operators; no private data. */
export type Reason = string

/**
 * The rule: pure, so that it can be read, tested and replayed by itself. Trips at equality (`>=`).
 *
 * @returns why it trips, or undefined
 */
export function judge(figures: Readonly<Figures>, inARow: number, rule: RuleOptions): Reason | undefined {
  const { calls, failures, slow } = figures
  if (calls >= rule.minimumCalls) {
    if (failures >= rule.failureRate * calls)
      return `${failures} of ${calls} calls failed (trips at ${rule.failureRate})`
    if (slow >= rule.slowRate * calls) return `${slow} of ${calls} calls were slow (trips at ${rule.slowRate})`
  } else if (rule.consecutiveFailures !== false && inARow >= rule.consecutiveFailures) {
    return `${inARow} calls failed in a row`
  }
  return undefined
}
