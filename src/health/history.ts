import { Log } from '../core/log.js'
import type { Mode } from './override.js'
import type { Cause } from './cause.js'

/** What is kept: flips, what operators did, and what they remarked. */
export type HistoryKind =
  | 'flip'
  | 'setMode'
  | 'clearMode'
  | 'acknowledge'
  | 'disable'
  | 'enable'
  | 'drain'
  | 'release'
  | 'configure'
  | 'inject'
  | 'stopInjecting'
  | 'note'

/** Something that was decided or done. */
export interface HistoryEntry {
  /** Wall time, ms. */
  readonly at: number
  readonly dependency: string
  readonly kind: HistoryKind
  readonly mode: Mode
  readonly cause: Cause
  /** Of a flip: while faults were injected. */
  readonly injected?: true
}

/** What was decided and done, newest last, bounded. */
export class History {
  readonly #log = new Log<HistoryEntry>()

  add(entry: HistoryEntry): void {
    this.#log.add(entry)
  }

  list(dependency?: string): readonly HistoryEntry[] {
    return this.#log.list(dependency === undefined ? undefined : (entry) => entry.dependency === dependency)
  }
}
