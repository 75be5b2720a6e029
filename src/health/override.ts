import * as v from 'valibot'
import { duration, group, parse, text } from '../core/options.js'

/** The registry's verdict on a dependency. */
export type Mode = 'available' | 'unavailable'

/** What an operator says with a forced mode. */
export interface SetModeOptions {
  /** For other operators: shown in the history and by `health()`. */
  reason: string
  /** May be shown to users: in snapshots, and so in templates. */
  notice?: string
  /** Who does it. */
  by?: string
  /** How long it holds, ms; `Infinity` = until cleared. Default 1,800,000 (30 min). */
  for?: number
}

/** A mode forced by an operator. */
export interface Override extends Required<Pick<SetModeOptions, 'reason' | 'for'>> {
  mode: Mode
  notice: string | undefined
  by: string | undefined
}

/** A duration, or for ever, which must be said. */
export const endless = v.union([v.literal(Infinity), duration], 'must be milliseconds, more than 0, or Infinity')

const schema = group({
  reason: text,
  notice: v.optional(text),
  by: v.optional(text),
  for: v.optional(endless),
})

export function parseOverride(mode: Mode, options: SetModeOptions): Override {
  const given = parse(schema, options, 'setMode')
  return { mode, reason: given.reason, notice: given.notice, by: given.by, for: given.for ?? 30 * 60_000 }
}
