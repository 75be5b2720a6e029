import type { Clock } from '../../core/clock.js'
import type { WriteResult } from './store.js'
import type { Version } from './version.js'

/** What the second level of one operation has done, by reason. */
export interface SecondCounts {
  /** Values found in the second level and kept in the first. */
  secondHits: number
  /** Reads that found nothing, or something deleted or past `staleFor`. */
  secondMisses: number
  /** Reads and writes that failed, or took too long. */
  secondFailures: number
  /** Reads that were not made: it had failed just before. */
  secondSkipped: number
  /** Reads that found something that isn't ours, torn or of another format; misses too. */
  secondForeign: number
  /** Reads that found something older than what was known: it had been restored from an older dump. */
  secondOlder: number
  secondWritten: number
  /** Writes not made because something newer is there. */
  secondOvertaken: number
  /** Writes not made because too many were waiting, or it took none. */
  secondDropped: number
}

export const noSecondCounts = (): SecondCounts => ({
  secondHits: 0,
  secondMisses: 0,
  secondFailures: 0,
  secondSkipped: 0,
  secondForeign: 0,
  secondOlder: 0,
  secondWritten: 0,
  secondOvertaken: 0,
  secondDropped: 0,
})

/** What was found, by the clock of this process. */
export interface Arrival {
  readonly value: unknown
  readonly startedAt: number
  readonly version: Version | undefined
  readonly expired: boolean
  /** How often whoever keeps it warm does so, ms. */
  readonly every: number | undefined
}

/** The operation, as its second level sees it. */
export interface SecondHost {
  readonly clock: Clock
  readonly dependency: string
  readonly operation: string
  readonly staleFor: number
  readonly counts: SecondCounts
  /** Takes in what was found, unless it has something newer, or it is too large. @returns what became of it */
  arrived(key: string, arrival: Arrival): WriteResult
  /** One had a lower `version` than another that was known. */
  olderVersion(): void
}
