import type { Attempt } from '../core/attempt.js'
import { backgroundTimer, type Clock, type Timer } from '../core/clock.js'
import { UnavailableError } from '../core/errors.js'
import type { Gate, Sample } from '../core/gate.js'
import type { StallWatch } from '../core/stall.js'
import { Baseline } from './baseline.js'
import { operator, type Cause } from './cause.js'
import type { Mirror, VerdictListener } from './followers.js'
import type { CircuitSettings } from './circuit-options.js'
import { Latency, type Percentiles } from './latency.js'
import type { Mode, Override } from './override.js'
import { Ramp } from './ramp.js'
import { judge, type Reason } from './rule.js'
import { CountWindow, TimeWindow, type SampleWindow } from './window.js'

/** The circuit's state. While `open`, a trial is due at `until`; while `half-open`, `trial` is the one that runs. */
export type CircuitState =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly until: number }
  | { readonly kind: 'half-open'; trial: Attempt | undefined }

const CLOSED: CircuitState = { kind: 'closed' }

/** How many times an open time may double; a limit for the exponent only. */
const MOST_DOUBLINGS = 30

export interface VerdictOptions {
  dependency: string
  clock: Clock
  stalls: StallWatch
  circuit: CircuitSettings
  /** Whether the verdict is obeyed, or only watched. */
  enforce: boolean
  listener: VerdictListener
}

/**
 * One dependency's mode: signals go in, the rule decides, `#transition` makes the one change of state, everything
 * else follows. Owns the circuit's state, due time, lease and generation.
 */
export class Verdict implements Gate {
  readonly dependency: string
  generation = 0
  closed = true
  /** Since when the mode has been what it is, wall time. */
  since: number
  cause: Cause | undefined
  mirror: Mirror | undefined
  readonly ramp: Ramp
  readonly #clock: Clock
  readonly #stalls: StallWatch
  readonly #circuit: CircuitSettings
  readonly #enforce: boolean
  readonly #listener: VerdictListener
  readonly #window: SampleWindow
  readonly #baseline: Baseline
  readonly #latency: Latency
  #state: CircuitState = CLOSED
  #failuresInARow = 0
  /** Recoveries that failed, or whose ramp did, since the last one that held. */
  #failedRecoveries = 0
  /** What opened the circuit. */
  #reason: Reason = ''
  #override: Override | undefined
  #expiry: Timer | undefined
  #shut = false
  #lastMode: Mode = 'available'
  #lastWouldBe: Mode = 'available'

  constructor({ dependency, clock, stalls, circuit, enforce, listener }: VerdictOptions) {
    this.dependency = dependency
    this.#clock = clock
    this.#stalls = stalls
    this.#circuit = circuit
    this.#enforce = enforce
    this.#listener = listener
    this.since = clock.wall()
    const { window } = circuit
    this.#window = typeof window === 'number' ? new TimeWindow(window) : new CountWindow(window.calls, window.maxAge)
    this.#latency = new Latency(typeof window === 'number' ? window : window.maxAge)
    this.#baseline = new Baseline(circuit.slowCall)
    this.ramp = new Ramp(clock, circuit.rampFor, (completed) => {
      if (completed) this.#rampCompleted()
      listener.rose()
    })
  }

  // What others read.

  get mode(): Mode {
    if (this.#shut) return 'unavailable'
    if (this.#override !== undefined) return this.#override.mode
    return this.#enforce ? this.wouldBe : 'available'
  }

  /** What traffic alone says. */
  get wouldBe(): Mode {
    return this.#state.kind === 'closed' ? 'available' : 'unavailable'
  }

  /** Worth calling: also while a half-open circuit waits for a user's call to be its trial. */
  get available(): boolean {
    if (this.mode === 'available') return true
    return !this.#shut && this.#override === undefined && this.circuitState === 'half-open'
  }

  /** The state after transitions that are due. */
  get circuitState(): CircuitState['kind'] {
    this.refresh()
    return this.#state.kind
  }

  get trialDue(): boolean {
    this.refresh()
    return this.#state.kind === 'half-open' && this.#state.trial === undefined
  }

  get override(): Override | undefined {
    return this.#override
  }

  get figures(): { calls: number; failures: number; slow: number } {
    return { ...this.#window.figures(this.#clock.now()) }
  }

  get latencyNow(): Percentiles | undefined {
    return this.#latency.percentiles(this.#clock.now())
  }

  /** From how long on a call counts as slow, ms. */
  get slowLevel(): number {
    return this.#baseline.level
  }

  /** When the next trial may run, in ms from now; undefined unless open. */
  get retryAfter(): number | undefined {
    return this.#state.kind === 'open' ? Math.max(0, this.#state.until - this.#clock.now()) : undefined
  }

  /** Applies a transition that is due: no timer runs for it, so whoever looks makes it. */
  refresh(): void {
    if (this.#state.kind === 'open' && this.#clock.now() >= this.#state.until)
      this.#transition({ kind: 'half-open', trial: undefined }, { kind: 'traffic', reason: this.#reason })
  }

  // The gate.

  admit(attempt: Attempt): UnavailableError | undefined {
    attempt.generation = this.generation
    if (this.#override !== undefined || this.#shut) return this.mode === 'available' ? undefined : this.refusal()
    this.refresh()
    if (this.#state.kind === 'half-open' && this.#state.trial === undefined && attempt.call.pipeline.counts) {
      this.#state.trial = attempt
      attempt.trial = true
      attempt.generation = this.generation
      this.mirror?.beginTrial(attempt)
      return undefined
    }
    if (this.#enforce) return this.refusal()
    // Only watched: it passes, but what would have been refused can't judge either.
    attempt.generation = -1
    return undefined
  }

  readmit(attempt: Attempt): UnavailableError | undefined {
    if (attempt.trial || attempt.generation === -1) return undefined
    if (this.mode === 'unavailable') return this.refusal()
    attempt.generation = this.generation
    return undefined
  }

  sample(attempt: Attempt, sample: Sample, took: number): void {
    const now = attempt.startedAt + took
    if (attempt.generation !== this.generation) return
    const good = sample === 'success' || sample === 'ignored'
    if (good && took < this.#baseline.level && !attempt.trial) {
      // The healthy path, all of it.
      this.#window.record(now, false, false)
      this.#latency.record(now, took)
      this.#failuresInARow = 0
      this.#baseline.healthy(took)
      return
    }
    const stalled = this.#stalls.since(attempt.stalledBefore, now)
    const slow = took - stalled >= this.#baseline.level || sample === 'timeout'
    // The greater part of it was our own event loop's stall: nobody's failure, and nobody's slowness.
    const ours = stalled > took / 2
    if (!ours && sample !== 'cut') this.#latency.record(now, took)
    if (attempt.trial) this.#trialEnded(attempt, sample, slow, ours, took)
    else if (!ours || good) this.#judge(now, sample, slow && !ours)
  }

  /** What a caller is told while it is unavailable. */
  refusal(): UnavailableError {
    const { dependency, retryAfter } = this
    return new UnavailableError(`${dependency} is unavailable`, { dependency, retryAfter })
  }

  giveBack(attempt: Attempt): void {
    if (this.#state.kind === 'half-open' && this.#state.trial === attempt) this.#state.trial = undefined
  }

  // Operators and the end.

  /** Forces a mode until `override.for` has passed, in place of an earlier one. */
  force(override: Override): void {
    const cause = operator(override.reason, override.by)
    this.#dropOverride()
    this.#override = override
    if (override.for !== Infinity)
      this.#expiry = backgroundTimer(
        this.#clock,
        () => {
          this.#lift(operator('expired'))
        },
        override.for,
      )
    if (override.mode === 'available') {
      // The operator vouches for it: what traffic thought before is void, and no ramp holds it back.
      if (this.#state.kind !== 'closed') this.#transition(CLOSED, cause)
      this.ramp.stop()
      this.mirror?.showClosed()
    } else this.mirror?.showOpen(Infinity)
    this.#settleMode(cause)
  }

  /** Ends a forced mode; traffic decides again. */
  clear(by?: string): void {
    if (this.#override !== undefined) this.#lift(operator('cleared', by))
  }

  /** Nothing may pass any more. */
  shut(): void {
    if (this.#shut) return
    this.#shut = true
    this.#dropOverride()
    this.ramp.stop()
    // No flip: that an app shuts down says nothing about the dependency, and must wake nobody.
    this.#lastMode = 'unavailable'
    this.#settleMode({ kind: 'closed', reason: 'closed' })
  }

  // Inside.

  #judge(now: number, sample: Sample, slow: boolean): void {
    const failed = sample === 'failure' || sample === 'timeout'
    // After an idle window the row starts anew: failures from before it must not trip anything.
    if (this.#window.figures(now).calls === 0) this.#failuresInARow = 0
    this.#window.record(now, failed, slow)
    this.#failuresInARow = failed ? this.#failuresInARow + 1 : sample === 'cut' ? this.#failuresInARow : 0
    if (this.#override?.mode === 'available' || this.#state.kind !== 'closed') return
    const reason = judge(this.#window.figures(now), this.#failuresInARow, this.#circuit)
    if (reason !== undefined) this.#open(reason)
  }

  #trialEnded(attempt: Attempt, sample: Sample, slow: boolean, ours: boolean, took: number): void {
    if (this.#state.kind !== 'half-open' || this.#state.trial !== attempt) return
    const good = sample === 'success' || sample === 'ignored'
    if (good && !slow) {
      this.mirror?.passTrial(attempt)
      this.#recover()
    } else if (ours || (sample === 'cut' && !slow)) {
      this.giveBack(attempt)
    } else {
      const answered = good || sample === 'cut'
      if (good) this.#baseline.slowTrial(took)
      if (answered) this.mirror?.dropTrial()
      else this.mirror?.failTrial(attempt)
      this.#failedRecoveries++
      this.#open(answered ? 'the trial was slow' : `the trial ${sample === 'timeout' ? 'timed out' : 'failed'}`)
    }
  }

  #open(reason: Reason): void {
    if (this.ramp.running) this.#failedRecoveries++
    this.ramp.stop()
    const openFor = this.#openTime()
    this.#reason = reason
    this.#transition({ kind: 'open', until: this.#clock.now() + openFor }, { kind: 'traffic', reason })
    if (this.#enforce) this.mirror?.showOpen(openFor)
  }

  #recover(): void {
    this.#transition(CLOSED, { kind: 'traffic', reason: 'the trial passed' })
    if (this.#enforce) this.mirror?.showClosed()
  }

  /** Doubled by each failed recovery, then with jitter (± 10 %), so that many processes don't try in step. */
  #openTime(): number {
    const { openFor, openForAtMost } = this.#circuit
    if (this.#failedRecoveries === 0) return openFor
    const grown = openFor * 2 ** Math.min(MOST_DOUBLINGS, this.#failedRecoveries)
    return Math.min(openForAtMost, grown * (0.9 + 0.2 * this.#clock.random()))
  }

  #rampCompleted(): void {
    this.#failedRecoveries = 0
    this.#listener.changed()
  }

  /** The one change of the circuit's state. A result from before it belongs to an older generation. */
  #transition(to: CircuitState, cause: Cause): void {
    this.#state = to
    this.generation++
    if (to.kind === 'closed') {
      this.#window.clear()
      this.#failuresInARow = 0
      if (this.#enforce && !this.#shut) this.ramp.start()
    }
    this.#settleMode(cause)
    const { wouldBe } = this
    if (wouldBe === this.#lastWouldBe) return
    this.#lastWouldBe = wouldBe
    if (!this.#enforce) this.#listener.flipped(wouldBe, cause, false)
  }

  /** Tells everybody what has changed, once per real change. */
  #settleMode(cause: Cause): void {
    this.closed = this.#state.kind === 'closed' && this.#override === undefined && !this.#shut
    const { mode } = this
    if (mode !== this.#lastMode) {
      this.#lastMode = mode
      this.since = this.#clock.wall()
      this.cause = cause
      this.#listener.changed()
      this.#listener.flipped(mode, cause, true)
    } else this.#listener.changed()
  }

  #lift(cause: Cause): void {
    const wasUnavailable = this.mode === 'unavailable'
    this.#dropOverride()
    if (this.#state.kind === 'closed') {
      this.mirror?.showClosed()
      if (wasUnavailable && this.#enforce) this.ramp.start()
    } else this.mirror?.showOpen(this.retryAfter ?? 1)
    this.#settleMode(cause)
  }

  #dropOverride(): void {
    if (this.#expiry !== undefined) this.#clock.clearTimer(this.#expiry)
    this.#expiry = this.#override = undefined
  }
}
