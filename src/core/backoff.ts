import * as v from 'valibot'
import { OptionError } from './errors.js'
import { duration, group } from './options.js'

/** How long to wait before another try: twice as long each time, up to a limit. */
export interface BackoffOptions {
  /** Before the second try, ms, at most. Default 100. */
  base?: number
  /** Before any, ms. Default 10,000 for retries, 30,000 for `keepTrying`. */
  atMost?: number
}

/** The same, complete. */
export type Backoff = Required<BackoffOptions>

export const backoffSchema = group({ base: v.optional(duration), atMost: v.optional(duration) })

/** A limit for the exponent only. */
const MOST_DOUBLINGS = 40

/** Defaults give way to what was given. @throws OptionError (`ERR_OPTION`) for a base beyond the limit */
export function backoffSettings(
  { base, atMost }: v.InferOutput<typeof backoffSchema>,
  path: string,
  longest: number,
): Backoff {
  if (base !== undefined && atMost !== undefined && base > atMost)
    throw new OptionError(`${path}.base`, `${base} is more than atMost, ${atMost}`)
  return { base: base ?? Math.min(100, atMost ?? longest), atMost: atMost ?? Math.max(longest, base ?? 0) }
}

/** The longest wait after so many tries, ms; whoever waits takes a part of it by chance. */
export function grown({ base, atMost }: Backoff, tries: number): number {
  return Math.min(atMost, base * 2 ** Math.min(MOST_DOUBLINGS, tries - 1))
}
