import type { Slots } from '../core/slots.js'
import type { Counts, Tally } from '../core/tally.js'
import type { Percentiles } from '../core/histogram.js'
import type { Mode } from './override.js'
import type { CircuitState, Verdict } from './verdict.js'
import type { Warning } from './warnings.js'
import type { Figures } from './window.js'

/** How a dependency is, for people and machines. Durations in ms. */
export interface Health {
  mode: Mode
  /** What it would be without an operator, and if it were obeyed: differs from `mode` under an override or with `enforce: false`. */
  wouldBe: Mode
  /** Worth calling. */
  available: boolean
  /** Since when it has been in its mode, wall time. */
  since: number
  reason?: string
  notice?: string
  circuit: CircuitState['kind']
  /** Time until a trial, while the circuit is open. */
  retryAfter?: number
  /** What the rule looks at. */
  window: Figures & { failureRate?: number; slowRate?: number }
  /** From how long on a call counts as slow; absent until a baseline is known. */
  slowCall?: number
  latency?: Percentiles
  slots: { busy: number; capacity: number; guaranteed: number }
  waiters: number
  /** Work that has not ended, with or without a caller, with or without a slot. */
  inFlight: number
  /** After a recovery: how far it has come, 0 to 1. */
  ramp?: number
  /** What should be seen although it flips nothing. */
  warnings: readonly Warning[]
  /** Totals since the dependency was made. */
  counts: Readonly<Counts>
}

export function healthOf(
  verdict: Verdict,
  slots: Slots,
  tally: Tally,
  inFlight: number,
  warnings: readonly Warning[],
): Health {
  const circuit = verdict.circuitState
  const { mode, wouldBe, available, since, cause, override, retryAfter, figures, slowLevel, ramp } = verdict
  const latency = verdict.latencyNow
  const { calls, failures, slow } = figures
  return {
    mode,
    wouldBe,
    available,
    since,
    circuit,
    ...(cause === undefined ? {} : { reason: cause.reason }),
    ...(override?.notice === undefined ? {} : { notice: override.notice }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
    window: calls === 0 ? figures : { ...figures, failureRate: failures / calls, slowRate: slow / calls },
    ...(slowLevel === Infinity ? {} : { slowCall: slowLevel }),
    ...(latency === undefined ? {} : { latency }),
    slots: { busy: slots.busy, capacity: slots.capacity, guaranteed: slots.guaranteed },
    waiters: slots.waiters,
    inFlight,
    ...(ramp.running ? { ramp: ramp.progress } : {}),
    warnings,
    counts: { ...tally.counts },
  }
}
