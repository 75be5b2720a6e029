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

const MOST = 1_000

/** What was decided and done, newest last, bounded. */
export class History {
  #entries: HistoryEntry[] = []

  add(entry: HistoryEntry): void {
    this.#entries.push(Object.freeze(entry))
    // Cut in halves, so that adding stays cheap.
    if (this.#entries.length >= 2 * MOST) this.#entries = this.#entries.slice(-MOST)
  }

  list(dependency?: string): readonly HistoryEntry[] {
    const entries = dependency === undefined ? this.#entries : this.#entries.filter((e) => e.dependency === dependency)
    return entries.slice(-MOST)
  }
}
