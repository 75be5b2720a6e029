/** Says which errors are ours across copies of the package, where `instanceof` alone would not. */
const BRAND = Symbol.for('cofferdam.error')

/** The stable codes; they are part of the public surface. */
export type ErrorCode =
  | 'ERR_UNAVAILABLE'
  | 'ERR_BULKHEAD_FULL'
  | 'ERR_QUEUE_TIMEOUT'
  | 'ERR_RATE_LIMIT'
  | 'ERR_CALL_TIMEOUT'
  | 'ERR_DEADLINE'
  | 'ERR_BUDGET'
  | 'ERR_DRAIN'
  | 'ERR_OPTION'
  | 'ERR_CLOSED'
  | 'ERR_FAILED_VALUE'
  | 'ERR_INVARIANT'
  | 'ERR_CACHE_DUMP'

export interface ErrorDetails {
  /** The dependency concerned. */
  dependency?: string | undefined
  /** When another try may make sense, in ms. */
  retryAfter?: number | undefined
  cause?: unknown
}

/**
 * Base of every error that the library makes itself. Recognise one by `code`, or by `instanceof`,
 * which also holds between two copies of the package. An operation's own error is never wrapped in one.
 *
 * A refusal carries no stack: capturing it costs more than the refusal (opossum's open path spends
 * nearly all of its 4.5 µs on it), and it would only point into the library.
 */
export class CofferdamError extends Error {
  declare readonly code: ErrorCode
  declare readonly dependency?: string
  declare readonly retryAfter?: number

  constructor(message: string, details?: ErrorDetails) {
    const limit = stacksOff()
    super(message)
    stacksOn(limit)
    if (details?.dependency !== undefined) this.dependency = details.dependency
    if (details?.retryAfter !== undefined) this.retryAfter = Math.max(0, Math.ceil(details.retryAfter))
    if (details !== undefined && 'cause' in details) this.cause = details.cause
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (typeof value !== 'object' || value === null || !(BRAND in value)) return false
    if (this === CofferdamError) return true
    // A subclass of a user's own shares our codes, so only the ordinary test can tell.
    if (!Object.hasOwn(this.prototype, 'code')) return Function.prototype[Symbol.hasInstance].call(this, value)
    return (value as { code?: unknown }).code === this.prototype.code
  }
}

/**
 * Switches stack capture off, until `stacksOn` in the same step; under frozen intrinsics stacks are simply captured.
 * @returns what to hand to `stacksOn`
 */
export function stacksOff(): number | undefined {
  const limit = Error.stackTraceLimit
  try {
    Error.stackTraceLimit = 0
    return limit
  } catch {
    return undefined
  }
}

export function stacksOn(limit: number | undefined): void {
  if (limit !== undefined) Error.stackTraceLimit = limit
}

function define(error: { prototype: CofferdamError }, name: string, code: ErrorCode): void {
  const hidden = { writable: true, configurable: true, enumerable: false }
  Object.defineProperty(error.prototype, 'name', { value: name, ...hidden })
  Object.defineProperty(error.prototype, 'code', { value: code, ...hidden })
}

Object.defineProperty(CofferdamError.prototype, BRAND, { value: true })

const TELL = Symbol('cofferdam.tell')

/**
 * One error that stands for those of many refusals: making an error takes 270 ns even without a stack, and where
 * something is served instead nobody sees it. Whatever may be seen goes through {@link told}.
 */
export function standing<E extends CofferdamError>(tell: () => E): E {
  return Object.defineProperty(tell(), TELL, { value: tell })
}

/** The error as somebody may see it, and write on it: one of his own. */
export function told(error: unknown): unknown {
  return error instanceof Error && TELL in error ? (error[TELL] as () => Error)() : error
}

/** The dependency is unavailable and there was nothing else to serve (`ERR_UNAVAILABLE`). */
export class UnavailableError extends CofferdamError {}
define(UnavailableError, 'UnavailableError', 'ERR_UNAVAILABLE')

/** No slot is free and there is no room to wait (`ERR_BULKHEAD_FULL`). */
export class BulkheadFullError extends CofferdamError {}
define(BulkheadFullError, 'BulkheadFullError', 'ERR_BULKHEAD_FULL')

/** `maxWait` passed while waiting for a slot (`ERR_QUEUE_TIMEOUT`). */
export class QueueTimeoutError extends CofferdamError {}
define(QueueTimeoutError, 'QueueTimeoutError', 'ERR_QUEUE_TIMEOUT')

/** More calls a second than the dependency is allowed (`ERR_RATE_LIMIT`); `retryAfter` says when there is room again. */
export class RateLimitError extends CofferdamError {}
define(RateLimitError, 'RateLimitError', 'ERR_RATE_LIMIT')

/** An attempt took longer than its `timeout` (`ERR_CALL_TIMEOUT`); its name is `TimeoutError`, as on the web. */
export class CallTimeoutError extends CofferdamError {}
define(CallTimeoutError, 'TimeoutError', 'ERR_CALL_TIMEOUT')

/** `total` or the caller's deadline passed, or too little of it is left to start (`ERR_DEADLINE`). */
export class DeadlineError extends CofferdamError {}
define(DeadlineError, 'DeadlineError', 'ERR_DEADLINE')

/** A class of routes has no slot for a request, or is paused (`ERR_BUDGET`). */
export class BudgetExhaustedError extends CofferdamError {}
define(BudgetExhaustedError, 'BudgetExhaustedError', 'ERR_BUDGET')

/** Work was still running when a drain's time was over (`ERR_DRAIN`). */
export class DrainError extends CofferdamError {
  /** What held it up, oldest first. */
  readonly held: readonly HeldWork[]

  constructor(message: string, details: ErrorDetails & { held: readonly HeldWork[] }) {
    super(message, details)
    this.held = details.held
  }
}
define(DrainError, 'DrainError', 'ERR_DRAIN')

/** Work that did not end. */
export interface HeldWork {
  readonly operation: string
  readonly class?: string
  readonly label?: string
  /** How long it has been running, ms. */
  readonly age: number
}

/** The registry or the dependency was closed (`ERR_CLOSED`). */
export class ClosedError extends CofferdamError {}
define(ClosedError, 'ClosedError', 'ERR_CLOSED')

/**
 * `isFailure` judged a returned value failed (`ERR_FAILED_VALUE`). Never thrown to a caller, who gets the value
 * itself if nothing better is found; it is the reason that a fallback and `outcome()` are told.
 */
export class FailedValueError extends CofferdamError {}
define(FailedValueError, 'FailedValueError', 'ERR_FAILED_VALUE')

/**
 * A result broke an invariant, or could not be checked against it, and was withheld (`ERR_INVARIANT`). When it could
 * not be checked because something else failed, that is its `cause`.
 */
export class InvariantError extends CofferdamError {}
define(InvariantError, 'InvariantError', 'ERR_INVARIANT')

/**
 * A dump or a file of cached values is torn, too large, or of something else, and was refused; or a file could not be
 * read or written (`ERR_CACHE_DUMP`).
 */
export class CacheDumpError extends CofferdamError {}
define(CacheDumpError, 'CacheDumpError', 'ERR_CACHE_DUMP')

/** A bad option (`ERR_OPTION`); `path` names it. Has a stack, since it is the developer's to fix. */
export class OptionError extends CofferdamError {
  readonly path: string

  constructor(path: string, problem: string) {
    super(path === '' ? problem : `${path}: ${problem}`)
    this.path = path
    Error.captureStackTrace(this, OptionError)
  }
}
define(OptionError, 'OptionError', 'ERR_OPTION')

/** An HTTP-like 4xx on the error says that the request was at fault, not the dependency. */
export function isClientError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { status, statusCode } = error as { status?: unknown; statusCode?: unknown }
  const code = status ?? statusCode
  return typeof code === 'number' && code >= 400 && code < 500
}
