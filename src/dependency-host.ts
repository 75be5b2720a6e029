import type { Attempt } from './core/attempt.js'
import type { Background } from './core/background.js'
import type { CallWatch } from './core/call.js'
import type { Clock } from './core/clock.js'
import type { Cause } from './health/cause.js'
import type { Flapping } from './health/followers.js'
import type { Mode } from './health/override.js'
import type { Warning } from './health/warnings.js'
import type { Injected, InjectOptions } from './policies/inject.js'
import type { TryingState } from './registry-events.js'

/** What a dependency tells its registry. */
export interface DependencyHost {
  readonly clock: Clock
  readonly background: () => Background
  /** Whether somebody listens for work that takes long. */
  readonly longCallsHeard: boolean
  changed(): void
  flipped(to: Mode, cause: Cause, enforced: boolean): void
  warned(warning: Warning, raised: boolean): void
  shut(): void
  flapping(flapping: Flapping): void
  disagreed(probes: 'passing' | 'failing'): void
  longCall(attempt: Attempt, ranFor: number): void
  /** @param reason `undefined` = released */
  drained(reason: string | undefined, by?: string): void
  leaked(attempt: Attempt): void
  olderValue(operation: string): void
  connection(state: TryingState): void
  inject(options: InjectOptions): Injected
  readonly watch: CallWatch
  report(error: unknown): void
}
