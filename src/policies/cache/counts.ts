import { CofferdamError, type ErrorCode } from '../../core/errors.js'
import { noSecondCounts, type SecondCounts } from './second-host.js'

/** What the cache of one operation has done, by reason. */
export interface CacheCounts extends SecondCounts {
  /** Fresh values served. */
  fresh: number
  /** Stale values served; the next eight say why. */
  stale: number
  /** Because the dependency was unavailable. */
  staleUnavailable: number
  /** Because there was no slot for the call. */
  staleFull: number
  /** Because the call timed out. */
  staleTimeout: number
  /** Because the time for the whole call, or its request, was over. */
  staleDeadline: number
  /** Because the call failed otherwise. */
  staleFailure: number
  /** Because the call took longer than `softTimeout`. */
  staleSlow: number
  /** Because a load of the same key had just failed. */
  staleThrottled: number
  /** Because of `live: false`. */
  staleOffline: number
  /** Calls that could not be answered live, and found nothing here. */
  empty: number
  /** Calls that joined another. */
  joined: number
  /** Values loaded again before they were stale. */
  ahead: number
  /** Values loaded by a refresher. */
  refreshed: number
  /** Loads ahead or by a refresher that were not let through: no slot but the last, or too many at once. */
  skipped: number
  written: number
  /** Results dropped because a later call had written, or the key was deleted, after their call began. */
  older: number
  /** Results dropped because their `version` was lower than the one held. */
  olderVersion: number
  /** Values larger than `maxBytes`; the one held before is dropped too. */
  oversize: number
  /** Values that `cacheIf` declined. */
  declined: number
  /** Values deleted by `evictOn`. */
  evicted: number
  /** Calls that passed the cache by because `key` or `scope` threw or gave no string. */
  keyErrors: number
}

export const noCounts = (): CacheCounts => ({
  fresh: 0,
  stale: 0,
  staleUnavailable: 0,
  staleFull: 0,
  staleTimeout: 0,
  staleDeadline: 0,
  staleFailure: 0,
  staleSlow: 0,
  staleThrottled: 0,
  staleOffline: 0,
  empty: 0,
  joined: 0,
  ahead: 0,
  refreshed: 0,
  skipped: 0,
  written: 0,
  older: 0,
  olderVersion: 0,
  oversize: 0,
  declined: 0,
  evicted: 0,
  keyErrors: 0,
  ...noSecondCounts(),
})

/** Why a stale value was served. */
export type StaleReason = Extract<keyof CacheCounts, `stale${Capitalize<string>}`>

const reasons: Partial<Record<ErrorCode, StaleReason>> = {
  ERR_UNAVAILABLE: 'staleUnavailable',
  ERR_BULKHEAD_FULL: 'staleFull',
  ERR_QUEUE_TIMEOUT: 'staleFull',
  ERR_BUDGET: 'staleFull',
  ERR_CALL_TIMEOUT: 'staleTimeout',
  ERR_DEADLINE: 'staleDeadline',
}

export function reasonOf(error: unknown): StaleReason {
  return (error instanceof CofferdamError ? reasons[error.code] : undefined) ?? 'staleFailure'
}
