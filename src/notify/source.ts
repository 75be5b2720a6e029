import type { Clock } from '../core/clock.js'
import type { RegistryEvents } from '../registry-events.js'

/** The events that alerts are made from. */
export type NotifyEvents = Pick<RegistryEvents, 'flip' | 'flapping' | 'warning'>

/** What {@link notify} needs of a registry. */
export interface NotifySource {
  readonly clock: Clock
  on<Name extends keyof NotifyEvents>(event: Name, listener: (payload: NotifyEvents[Name]) => unknown): () => void
}
