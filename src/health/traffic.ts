import type { Sample } from '../core/gate.js'
import type { Percentiles } from '../core/histogram.js'
import { Baseline } from './baseline.js'
import type { CircuitSettings } from './circuit-options.js'
import { Latency } from './latency.js'
import { judge, type Reason } from './rule.js'
import { CountWindow, TimeWindow, type Figures, type SampleWindow } from './window.js'

/** What calls say of a dependency: the recent samples, how long they took, and what the rule makes of them. */
export class Traffic {
  readonly baseline: Baseline
  #circuit: CircuitSettings
  #window: SampleWindow
  #latency: Latency
  #failuresInARow = 0
  /** Until when a sample is in the window that came of an injected fault. */
  #rehearsedUntil = -Infinity

  constructor(circuit: CircuitSettings) {
    this.#circuit = circuit
    this.#window = windowOf(circuit)
    this.#latency = new Latency(reachOf(circuit))
    this.baseline = new Baseline(circuit.slowCall)
  }

  /** Other settings from now on; what has been seen stays. */
  configure(circuit: CircuitSettings, now: number): void {
    const before = this.#circuit
    this.#circuit = circuit
    this.baseline.rule = circuit.slowCall
    if (JSON.stringify(before.window) === JSON.stringify(circuit.window)) return
    const { calls, failures, slow } = this.#window.figures(now)
    this.#window = windowOf(circuit)
    // Samples of which only the sums are known: the slow ones are taken to be the failed ones as far as they go.
    for (let i = 0; i < calls; i++) this.#window.record(now, i < failures, i < slow)
    this.#latency = new Latency(reachOf(circuit))
  }

  figures(now: number): Readonly<Figures> {
    return this.#window.figures(now)
  }

  latency(now: number): Percentiles | undefined {
    return this.#latency.percentiles(now)
  }

  /** Whether recent calls say that all is well: there were some, and however few they are, their rates trip nothing. */
  healthy(now: number): boolean {
    const { calls, failures, slow } = this.#window.figures(now)
    const { failureRate, slowRate } = this.#circuit
    return calls > failures && failures < failureRate * calls && slow < slowRate * calls
  }

  /** A call that was neither failed nor slow: the path of nearly all. */
  good(now: number, took: number): void {
    this.#window.record(now, false, false)
    this.#latency.record(now, took)
    this.#failuresInARow = 0
    this.baseline.healthy(took)
  }

  /** A sample came of an injected fault. */
  injected(now: number): void {
    this.#rehearsedUntil = now + reachOf(this.#circuit)
  }

  /** Whether what trips now may have come of one. */
  rehearsed(now: number): boolean {
    return now < this.#rehearsedUntil
  }

  timed(now: number, took: number): void {
    this.#latency.record(now, took)
  }

  record(now: number, sample: Sample, slow: boolean): void {
    const failed = sample === 'failure' || sample === 'timeout'
    // After an idle window the row starts anew: failures from before it must not trip anything.
    if (this.#window.figures(now).calls === 0) this.#failuresInARow = 0
    this.#window.record(now, failed, slow)
    this.#failuresInARow = failed ? this.#failuresInARow + 1 : sample === 'cut' ? this.#failuresInARow : 0
  }

  /** Why the rule trips, if it does. */
  verdict(now: number): Reason | undefined {
    return judge(this.#window.figures(now), this.#failuresInARow, this.#circuit)
  }

  /** After a recovery what went before counts no more. */
  forget(): void {
    this.#window.clear()
    this.#failuresInARow = 0
    this.#rehearsedUntil = -Infinity
  }
}

function windowOf({ window }: CircuitSettings): SampleWindow {
  return typeof window === 'number' ? new TimeWindow(window) : new CountWindow(window.calls, window.maxAge)
}

function reachOf({ window }: CircuitSettings): number {
  return typeof window === 'number' ? window : window.maxAge
}
