import type { Call } from './call.js'

/**
 * What a call is made in the course of: a request. The port through which calls learn of it without being told;
 * `request/scope` is behind it.
 */
export interface Ambient {
  /** The class of route that the request belongs to. */
  readonly class: string | undefined
  /** The instant by which the request must be answered, by the monotonic clock; `Infinity` = none. Sooner once it is over. */
  readonly deadline: number
  /** With less than this left, ms, no attempt is started. */
  readonly floor: number
  /** Why nobody waits for anything any more, once the client has gone. */
  readonly gone: { readonly reason: unknown } | undefined
  /** Tells the call when the request ends before it: when the client has gone, or the deadline has passed. */
  enter(call: Call): void
  leave(call: Call): void
  /** For what outlives the request, or belongs to several: of its class, under nobody's deadline, told of no client. */
  apart(): Ambient
  /** Nobody waits for any of it: its calls are told. */
  abort(reason: unknown): void
}

/** Where calls look, and where they go on; replaced once, when request scopes are first used. */
export const ambient: {
  read: () => Ambient | undefined
  run: <R>(around: Ambient | undefined, work: () => R) => R
} = { read: () => undefined, run: (_around, work) => work() }

/**
 * Goes on in the course of that request, or of none. A timer that many share fires in the scope of whichever armed it: a
 * fallback would have another's class and deadline, and be aborted with another's client.
 */
export function inside<R>(around: Ambient | undefined, work: () => R): R {
  return ambient.read() === around ? work() : ambient.run(around, work)
}
