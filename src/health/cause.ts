import type { Mode } from './override.js'

/** What can decide a mode, highest first: rule 22's precedence. A probe speaks where there is no traffic to speak. */
export const PRECEDENCE = [
  'closed',
  'drain',
  'disabled',
  'operator',
  'parent',
  'invariant',
  'traffic',
  'probe',
] as const

/** What decided. */
export type CauseKind = (typeof PRECEDENCE)[number]

/** Why a mode changed. Says nothing private. */
export interface Cause {
  kind: CauseKind
  reason: string
  by?: string
}

/** @param by whoever did it, if somebody did */
export function causeOf(kind: CauseKind, reason: string, by?: string): Cause {
  return by === undefined ? { kind, reason } : { kind, reason, by }
}

/** One voice: which mode it asks for, and why. */
export interface Signal {
  mode: Mode
  cause: Cause
  /** It speaks only until somebody has looked whether it may fall silent. */
  waived?: boolean
}

/** What each voice asks for at present; a voice that is silent is absent. */
export type Signals = { [Kind in CauseKind]?: Signal | undefined }

/**
 * Whose word holds: the highest that speaks. Everything else may disagree and be reported, and changes nothing.
 * @returns undefined when nobody speaks: available
 */
export function decide(signals: Signals): Signal | undefined {
  for (const kind of PRECEDENCE) if (signals[kind] !== undefined) return signals[kind]
  return undefined
}
