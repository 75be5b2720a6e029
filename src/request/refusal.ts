import { LONGEST_TIMER } from '../core/clock.js'
import { CofferdamError, type ErrorCode } from '../core/errors.js'

/** What a client is told when a request can't be served: a status, and when to come again. Nothing internal. */
export interface Refusal {
  status: 503 | 504
  /** Whole seconds, for `Retry-After`. */
  retryAfter?: number
  message: 'Service Unavailable' | 'Gateway Timeout'
  code: ErrorCode
}

const LATE: readonly ErrorCode[] = ['ERR_DEADLINE', 'ERR_CALL_TIMEOUT']
const OURS: readonly ErrorCode[] = ['ERR_OPTION', 'ERR_FAILED_VALUE']

/**
 * @param random a number in [0, 1): clients that were refused together must not all come again together
 * @returns undefined when the error isn't a refusal of ours
 */
export function refusalOf(error: unknown, random: number): Refusal | undefined {
  if (!(error instanceof CofferdamError) || OURS.includes(error.code)) return undefined
  const { code, retryAfter = 1_000 } = error
  if (LATE.includes(code)) return { status: 504, message: 'Gateway Timeout', code }
  // Anybody can make one of our errors, and a header can't say `Infinity`, `NaN` or `1e+21`.
  const ms = retryAfter <= LONGEST_TIMER ? retryAfter : 1_000
  const seconds = Math.max(1, Math.round((ms / 1_000) * (1 + random)))
  return { status: 503, retryAfter: seconds, message: 'Service Unavailable', code }
}
