import type { Attempt } from '../core/attempt.js'
import { backgroundTimer, type Clock, type Timer } from '../core/clock.js'
import { standing, UnavailableError } from '../core/errors.js'
import type { Gate, Sample } from '../core/gate.js'
import type { StallWatch } from '../core/stall.js'
import { causeOf, type Cause, type CauseKind, type Signal } from './cause.js'
import type { CircuitSettings } from './circuit-options.js'
import type { Mirror, Proof, Recovery, VerdictListener } from './followers.js'
import type { Percentiles } from '../core/histogram.js'
import { OpenTime } from './open-time.js'
import type { Mode, Override } from './override.js'
import { Ramp } from './ramp.js'
import { RateWarning } from './rate-warning.js'
import type { Reason } from './rule.js'
import { Traffic } from './traffic.js'
import { isCircuits, Voices } from './voices.js'
import type { Warnings } from './warnings.js'

/**
 * The circuit's state. While `open`, a trial is due at `until`. While `half-open`, `step` says what is waited for: a
 * trial (`trial` is the call that is one, if it runs), the invariants, or an operator's `acknowledge`.
 */
export type CircuitState =
  | { readonly kind: 'closed' }
  | { readonly kind: 'open'; readonly until: number }
  | { readonly kind: 'half-open'; step: 'trial' | 'invariants' | 'operator'; trial: Attempt | undefined }

const CLOSED: CircuitState = { kind: 'closed' }

export interface VerdictOptions {
  dependency: string
  clock: Clock
  /** From when on it has been available, wall time. */
  since: number
  stalls: StallWatch
  circuit: CircuitSettings
  /** Whether the verdict is obeyed, or only watched. */
  enforce: boolean
  listener: VerdictListener
  recovery: Recovery
  warnings: Warnings
}

/**
 * One dependency's mode: signals go in, the rule decides, `#transition` makes the one change of the circuit's state,
 * `#settle` the one change of mode, everything else follows. Owns the state, due time, lease and generation; what was
 * seen (`Traffic`), who says what (`Voices`) and for how long it stays open (`OpenTime`) are told and asked.
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
  readonly traffic: Traffic
  readonly #clock: Clock
  readonly #stalls: StallWatch
  readonly #listener: VerdictListener
  readonly #recovery: Recovery
  readonly #warning: RateWarning
  readonly #voices: Voices
  readonly #openTime: OpenTime
  #circuit: CircuitSettings
  #state: CircuitState = CLOSED
  /** What opened the circuit. */
  #opened: Cause = causeOf('traffic', '')
  #override: Override | undefined
  #expiry: Timer | undefined
  #standing: UnavailableError | undefined
  /** What was told last. */
  #lastRuling: Signal | undefined
  #lastMode: Mode = 'available'
  #lastWouldBe: Mode = 'available'

  constructor({ dependency, clock, since, stalls, circuit, enforce, listener, recovery, warnings }: VerdictOptions) {
    this.dependency = dependency
    this.#clock = clock
    this.#stalls = stalls
    this.#circuit = circuit
    this.#voices = new Voices(enforce)
    this.#openTime = new OpenTime(() => clock.random())
    this.#listener = listener
    this.#recovery = recovery
    this.since = since
    this.traffic = new Traffic(circuit)
    this.#warning = new RateWarning(clock, warnings, (now) => this.traffic.figures(now), warningRule(circuit))
    this.ramp = new Ramp(clock, circuit.rampFor, (completed) => {
      if (completed) this.#rampCompleted()
      listener.rose()
    })
  }

  // What others read.

  get mode(): Mode {
    return this.#voices.mode
  }

  /** What it would be without an operator, and if it were obeyed. */
  get wouldBe(): Mode {
    return this.#voices.wouldBe
  }

  /** Whose word holds at present; undefined while all is well. */
  get decider(): CauseKind | undefined {
    return this.#voices.ruling?.cause.kind
  }

  /** Worth calling: also while a half-open circuit waits for a user's call to be its trial. */
  get available(): boolean {
    const { ruling } = this.#voices
    if (ruling === undefined || ruling.mode === 'available') return true
    return isCircuits(ruling) && this.#waitsForCalls
  }

  /** The state after transitions that are due. */
  get circuitState(): CircuitState['kind'] {
    this.refresh()
    return this.#state.kind
  }

  get trialDue(): boolean {
    if (!this.#waitsForCalls || (this.#state as { trial?: Attempt }).trial !== undefined) return false
    const { ruling } = this.#voices
    return ruling === undefined || isCircuits(ruling)
  }

  get override(): Override | undefined {
    return this.#override
  }

  get figures(): { calls: number; failures: number; slow: number } {
    return { ...this.traffic.figures(this.#clock.now()) }
  }

  get latencyNow(): Percentiles | undefined {
    return this.traffic.latency(this.#clock.now())
  }

  /** From how long on a call counts as slow, ms. */
  get slowLevel(): number {
    return this.traffic.baseline.level
  }

  /** When the next trial may run, in ms from now; undefined unless open. */
  get retryAfter(): number | undefined {
    return this.#state.kind === 'open' ? Math.max(0, this.#state.until - this.#clock.now()) : undefined
  }

  /** Whether its figures still hold what came of injected faults. */
  get rehearsed(): boolean {
    return this.traffic.rehearsed(this.#clock.now())
  }

  /** Everything has recovered but for an operator's last word. */
  get waitsForOperator(): boolean {
    return this.#state.kind === 'half-open' && this.#state.step === 'operator'
  }

  /** Applies a transition that is due: no timer runs for it, so whoever looks makes it. */
  refresh(): void {
    if (this.#state.kind === 'open' && this.#clock.now() >= this.#state.until)
      this.#transition({ kind: 'half-open', step: 'trial', trial: undefined }, this.#opened)
  }

  // The gate.

  admit(attempt: Attempt): UnavailableError | undefined {
    // One look for all of it: if the trial came due between two, it would be of the generation before, and count nowhere.
    const due = this.trialDue
    attempt.generation = this.generation
    const { ruling } = this.#voices
    if (ruling !== undefined && !isCircuits(ruling)) {
      if (ruling.mode === 'unavailable') return this.#refused
      // Somebody vouches for it against what traffic says: what it brings can't judge.
      if (this.#state.kind !== 'closed') attempt.generation = -1
      return undefined
    }
    if (due && attempt.call.pipeline.counts) {
      ;(this.#state as { trial: Attempt | undefined }).trial = attempt
      attempt.trial = true
      this.mirror?.beginTrial(attempt)
      return undefined
    }
    if (ruling !== undefined) return this.#refused
    // Only watched: it passes, but what would have been refused can't judge either.
    if (this.#state.kind !== 'closed') attempt.generation = -1
    return undefined
  }

  readmit(attempt: Attempt): UnavailableError | undefined {
    if (attempt.trial) return undefined
    if (this.mode === 'unavailable') return this.#refused
    // The circuit may have opened meanwhile, and somebody vouch for it, or nobody obey it.
    attempt.generation = this.#state.kind === 'closed' ? this.generation : -1
    return undefined
  }

  sample(attempt: Attempt, sample: Sample, took: number): void {
    const now = attempt.startedAt + took
    if (attempt.generation !== this.generation) return
    const good = sample === 'success' || sample === 'ignored'
    const { traffic } = this
    if (good && took < traffic.baseline.level && !attempt.trial) {
      traffic.good(now, took)
      return
    }
    if (attempt.call.injected) traffic.injected(now)
    const stalled = this.#stalls.since(attempt.stalledBefore, now)
    const slow = took - stalled >= traffic.baseline.level || sample === 'timeout'
    // The greater part of it was our own event loop's stall: nobody's failure, and nobody's slowness.
    const ours = stalled > took / 2
    if (!ours && sample !== 'cut') traffic.timed(now, took)
    if (attempt.trial) this.#trialEnded(attempt, sample, slow, ours, took)
    // Cut short before it was slow, it says nothing: counted as a good one it would hide that all the others hang.
    else if (good || (!ours && (slow || sample !== 'cut'))) this.#judge(now, sample, slow && !ours)
  }

  /** What a caller is told while it is unavailable. */
  refusal(): UnavailableError {
    const { dependency, retryAfter } = this
    return new UnavailableError(`${dependency} is unavailable`, { dependency, retryAfter })
  }

  giveBack(attempt: Attempt): void {
    if (this.#state.kind === 'half-open' && this.#state.trial === attempt) this.#state.trial = undefined
  }

  // What probes say.

  /**
   * Probes fail, and no call says otherwise: the circuit opens.
   * @returns false when traffic knows better, or there is nothing to open
   */
  probesFail(reason: Reason): boolean {
    if (this.#state.kind !== 'closed' || this.#forcedAvailable) return true
    if (this.traffic.healthy(this.#clock.now())) return false
    this.#open(causeOf('probe', reason))
    return true
  }

  /** Enough trial probes have passed. */
  probesPass(): void {
    this.refresh()
    if (this.#state.kind === 'half-open' && this.#state.step === 'trial') this.#trialPassed('its probes passed')
  }

  /** Also while an operator is awaited: what had recovered is gone again. */
  trialProbeFailed(): void {
    this.refresh()
    if (this.#state.kind === 'half-open' && this.#state.step !== 'invariants')
      this.#trialFailed('the trial probe failed')
  }

  // Others who have a say.

  /** One of those that it depends on is unavailable; `undefined` = none is any more. */
  setParent(reason: Reason | undefined): void {
    this.#say('parent', reason, 'what it depends on is available again')
  }

  /** An invariant is broken, until an operator has acknowledged it. */
  latch(reason: Reason): void {
    this.#say('invariant', reason, '')
  }

  /** The invariants hold again, and an operator has said so. */
  unlatch(by?: string): void {
    this.#silence('invariant', causeOf('operator', 'acknowledged', by), 'proven')
  }

  /** Somebody wants it to himself. */
  setDrain(reason: Reason | undefined, by?: string): void {
    this.#say('drain', reason, 'released', by)
  }

  /** Calls go straight through, whatever the others say. */
  setDisabled(reason: Reason | undefined, by?: string): void {
    this.#say('disabled', reason, 'enabled', by)
  }

  // Operators and the end.

  /**
   * Forces a mode until `override.for` has passed, in place of an earlier one.
   * @param expired runs when its time is over
   */
  force(override: Override, expired: () => void): void {
    if (this.#voices.of('closed') !== undefined) return
    const { mode, reason, by } = override
    const cause = causeOf('operator', reason, by)
    this.#dropOverride()
    this.#override = override
    this.#voices.speak(mode, cause)
    if (override.for !== Infinity)
      this.#expiry = backgroundTimer(
        this.#clock,
        () => {
          expired()
          this.#lift(causeOf('operator', 'expired'))
        },
        override.for,
      )
    if (mode === 'available') {
      // The operator vouches for it: what traffic thought before is void, and no ramp holds it back.
      this.ramp.stop()
      this.#openTime.recovered()
    }
    if (mode === 'available' && this.#state.kind !== 'closed') this.#transition(CLOSED, cause)
    else this.#settle(cause)
  }

  /** Ends a forced mode; traffic decides again. */
  clear(by?: string): void {
    if (this.#override !== undefined) this.#lift(causeOf('operator', 'cleared', by))
  }

  /** The last step of a recovery that is left to a person. */
  acknowledge(by?: string): void {
    if (this.waitsForOperator) this.#transition(CLOSED, causeOf('operator', 'acknowledged', by))
  }

  /** Other settings from now on; window and mode stay. */
  configure(circuit: CircuitSettings, enforce: boolean): void {
    this.#circuit = circuit
    this.#voices.enforce = enforce
    this.traffic.configure(circuit, this.#clock.now())
    this.#warning.rule = warningRule(circuit)
    this.ramp.length = circuit.rampFor
    if (!enforce && this.ramp.running) {
      this.ramp.stop()
      this.#listener.rose()
    }
    const cause = causeOf('operator', 'configured')
    if (this.waitsForOperator && circuit.recover === 'itself') this.#transition(CLOSED, cause)
    else this.#settle(cause)
  }

  /** Nothing may pass any more. */
  shut(): void {
    if (this.#voices.of('closed') !== undefined) return
    const cause = causeOf('closed', 'closed')
    this.#voices.speak('unavailable', cause)
    this.#dropOverride()
    this.ramp.stop()
    this.#warning.stop()
    // No flip: that an app shuts down says nothing about the dependency, and must wake nobody.
    this.#lastMode = 'unavailable'
    this.#settle(cause)
    this.#listener.shut()
  }

  // Inside.

  get #refused(): UnavailableError {
    return (this.#standing ??= standing(() => this.refusal()))
  }

  get #forcedAvailable(): boolean {
    return this.#voices.of('operator')?.mode === 'available'
  }

  /** A half-open circuit whose trial is a user's to make. */
  get #waitsForCalls(): boolean {
    this.refresh()
    return this.#state.kind === 'half-open' && this.#state.step === 'trial' && !this.#recovery.probed
  }

  #judge(now: number, sample: Sample, slow: boolean): void {
    this.traffic.record(now, sample, slow)
    if (this.#state.kind !== 'closed') return
    const reason = this.#forcedAvailable ? undefined : this.traffic.verdict(now)
    if (reason !== undefined) this.#open(causeOf('traffic', reason))
    else if (sample === 'failure' || sample === 'timeout') this.#warning.look(now)
  }

  #trialEnded(attempt: Attempt, sample: Sample, slow: boolean, ours: boolean, took: number): void {
    if (this.#state.kind !== 'half-open' || this.#state.trial !== attempt) return
    const good = sample === 'success' || sample === 'ignored'
    if (good && !slow) {
      this.mirror?.passTrial(attempt)
      this.#trialPassed('the trial passed')
    } else if (ours || (sample === 'cut' && !slow)) {
      this.giveBack(attempt)
    } else {
      const answered = good || sample === 'cut'
      if (good) this.traffic.baseline.slowTrial(took)
      if (answered) this.mirror?.dropTrial()
      else this.mirror?.failTrial(attempt)
      this.#trialFailed(answered ? 'the trial was slow' : `the trial ${sample === 'timeout' ? 'timed out' : 'failed'}`)
    }
  }

  /** @param said whose word it was, if not that of what opened the circuit */
  #trialFailed(reason: Reason, said?: CauseKind): void {
    this.#openTime.recoveryFailed()
    this.#open(causeOf(this.#opened.kind, reason), said)
  }

  /** Reachable. Before it is trusted its invariants must hold, and an operator may have the last word. */
  #trialPassed(reason: Reason): void {
    const proof = this.#recovery.prove()
    const state = this.#await('invariants', `${reason}; its invariants are being read`)
    const go = (result: Proof): void => {
      // Something else has changed the state meanwhile.
      if (this.#state !== state) return
      if (result === 'unreadable') this.#trialFailed('its invariants could not be read', 'invariant')
      else if (result === 'holds' && this.#circuit.recover === 'operator')
        this.#await('operator', `${reason}; an operator has the last word`)
      else this.#transition(CLOSED, causeOf(this.#opened.kind, reason))
    }
    if (proof === undefined) go('holds')
    else void proof.then(go)
  }

  #await(step: 'invariants' | 'operator', reason: Reason): CircuitState {
    const state = this.#state
    if (state.kind !== 'half-open') return state
    state.step = step
    state.trial = undefined
    this.#voices.speak('unavailable', causeOf(this.#opened.kind, reason))
    this.#settle(this.#opened)
    return state
  }

  /** @param said whose word it was */
  #open(cause: Cause, said = cause.kind): void {
    if (this.ramp.running) this.#openTime.recoveryFailed()
    this.ramp.stop()
    const now = this.#clock.now()
    const flips = this.#voices.enforce && this.#lastMode === 'available' && this.mode === 'available'
    const { openFor, flapping } = this.#openTime.next(now, this.#circuit, flips)
    if (this.#state.kind === 'closed') this.#opened = cause
    const state = { kind: 'open', until: now + openFor } as const
    this.#transition(state, cause)
    // Whoever was told of the flip may have had another say already.
    if (this.#state !== state) return
    this.#listener.opened(openFor, said)
    if (flapping !== undefined) this.#listener.flapping(flapping)
  }

  #rampCompleted(): void {
    this.#openTime.recovered()
    this.#listener.changed()
  }

  /** The one change of the circuit's state. A result from before it belongs to an older generation. */
  #transition(to: CircuitState, cause: Cause): void {
    const voices = this.#voices
    this.#state = to
    const generation = ++this.generation
    voices.silence('traffic')
    voices.silence('probe')
    if (to.kind !== 'closed') voices.speak('unavailable', this.#opened)
    else {
      this.traffic.forget()
      // While somebody else keeps it away, the ramp begins with its return.
      if (voices.ruling === undefined && voices.enforce) this.ramp.start()
      else if (!voices.enforce) this.#openTime.recovered()
    }
    this.#settle(cause)
    if (to.kind === 'closed' && this.generation === generation) this.#listener.closed()
  }

  #say(kind: Held, reason: Reason | undefined, silent: Reason, by?: string): void {
    if (reason === undefined) {
      this.#silence(kind, causeOf(kind, silent, by))
      return
    }
    const cause = causeOf(kind, reason, by)
    this.#voices.speak(kind === 'disabled' ? 'available' : 'unavailable', cause)
    this.#settle(cause)
  }

  /**
   * One of those who kept it unavailable does so no more. It isn't trusted before its invariants have been read.
   * @param proven they have been
   */
  #silence(kind: Held, cause: Cause, proven?: 'proven'): void {
    const voices = this.#voices
    const signal = voices.of(kind)
    if (signal === undefined || signal.waived === true) return
    const returns = voices.enforce && voices.mode === 'unavailable' && voices.isLast(kind)
    const proof = returns && proven === undefined ? this.#recovery.prove() : undefined
    if (proof === undefined) {
      this.#silent(kind, cause, 'holds')
      return
    }
    const waived = voices.waive(kind, cause, 'its invariants are being read')
    this.#settle(cause)
    void proof.then((result) => {
      if (voices.of(kind) === waived) this.#silent(kind, cause, result)
    })
  }

  #silent(kind: Held, cause: Cause, result: Proof): void {
    const voices = this.#voices
    voices.silence(kind)
    const returns = voices.ruling === undefined && voices.enforce && this.#lastMode === 'unavailable'
    if (returns && result === 'unreadable')
      this.#open(causeOf('traffic', 'its invariants could not be read'), 'invariant')
    else {
      if (returns) this.ramp.start()
      this.#settle(cause)
    }
  }

  /** Tells everybody what has changed, once per real change. */
  #settle(cause: Cause): void {
    const { ruling, enforce } = this.#voices
    const mode = ruling?.mode ?? 'available'
    this.closed = this.#state.kind === 'closed' && ruling === undefined
    this.#showMirror(ruling)
    const flipped = mode !== this.#lastMode
    // What somebody has said is no reason any more once he is silent.
    if (flipped || ruling !== undefined || this.#lastRuling !== undefined) this.cause = ruling?.cause ?? cause
    this.#lastRuling = ruling
    this.#lastMode = mode
    if (flipped) {
      this.since = this.#clock.wall()
      // A ramp that nobody walks proves nothing: the return begins another.
      if (mode === 'unavailable') this.ramp.stop()
    }
    this.#listener.changed()
    if (flipped) this.#listener.flipped(mode, this.cause!, true)
    const { wouldBe } = this
    if (wouldBe === this.#lastWouldBe) return
    this.#lastWouldBe = wouldBe
    if (!enforce) this.#listener.flipped(wouldBe, cause, false)
  }

  /** The opossum breaker shows the mode; with its own timers it becomes half-open about when the circuit does. */
  #showMirror(ruling: Signal | undefined): void {
    if (this.mirror === undefined) return
    if (ruling?.mode !== 'unavailable') this.mirror.showClosed()
    else if (ruling.cause.kind !== 'traffic' && ruling.cause.kind !== 'probe') this.mirror.showOpen(Infinity)
    else if (this.#state.kind === 'open') this.mirror.showOpen(this.#state.until - this.#clock.now())
  }

  #lift(cause: Cause): void {
    this.#dropOverride()
    this.#silence('operator', cause)
  }

  #dropOverride(): void {
    if (this.#expiry !== undefined) this.#clock.clearTimer(this.#expiry)
    this.#expiry = this.#override = undefined
  }
}

type Held = Exclude<CauseKind, 'traffic' | 'probe'>

function warningRule({ warnRate, minimumCalls, window }: CircuitSettings): RateWarning['rule'] {
  return { warnRate, minimumCalls, dwell: typeof window === 'number' ? window : window.maxAge }
}
