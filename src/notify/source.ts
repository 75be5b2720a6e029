import type { Clock } from '../core/clock.js'
import type { Cause } from '../health/cause.js'
import type { Mode } from '../health/override.js'

/** What a warning is about. */
export type WarningKind = 'failures' | 'probe' | 'disabled' | 'injected'

/** The events that alerts are made from. */
export interface NotifyEvents {
  /** A mode changed; with `enforced: false` it would have. */
  flip: { dependency: string; mode: Mode; cause: Cause; at: number; enforced: boolean }
  /** Its return to available is held back because it became unavailable so many times `within` ms. */
  flapping: { dependency: string; flips: number; within: number; suppressedFor: number; at: number }
  warning: { dependency: string; warning: WarningKind; raised: boolean; text: string; at: number }
}

/** What {@link notify} needs of a registry. */
export interface NotifySource {
  readonly clock: Clock
  on<Name extends keyof NotifyEvents>(event: Name, listener: (payload: NotifyEvents[Name]) => unknown): () => void
}
