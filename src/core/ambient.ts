import type { Call } from './call.js'

/**
 * What a call is made in the course of: a request. The port through which calls learn of it without being told;
 * `request/scope` is behind it.
 */
export interface Ambient {
  /** The class of route that the request belongs to. */
  readonly class: string | undefined
  /** The instant by which the request must be answered, by the monotonic clock; `Infinity` = none. */
  readonly deadline: number
  /** With less than this left, ms, no attempt is started. */
  readonly floor: number
  /** Why nobody waits for anything any more, once the client has gone. */
  readonly gone: { readonly reason: unknown } | undefined
  /** Tells the call when the request ends before it: when the client has gone, or the deadline has passed. */
  enter(call: Call): void
  leave(call: Call): void
}

/** Where calls look; replaced once, when request scopes are first used. */
export const ambient: { read: () => Ambient | undefined } = { read: () => undefined }
