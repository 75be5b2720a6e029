import type { Attempt } from '../core/attempt.js'
import { backgroundTimer, type Clock, type Timer } from '../core/clock.js'
import { UnavailableError } from '../core/errors.js'
import type { Gate, Sample } from '../core/gate.js'
import type { StallWatch } from '../core/stall.js'
import { causeOf, decide, type Cause, type CauseKind, type Signal, type Signals } from './cause.js'
import type { CircuitSettings } from './circuit-options.js'
import { Damping } from './damping.js'
import type { Mirror, Proof, Recovery, VerdictListener } from './followers.js'
import type { Percentiles } from '../core/histogram.js'
import type { Mode, Override } from './override.js'
import { Ramp } from './ramp.js'
import { RateWarning } from './rate-warning.js'
import type { Reason } from './rule.js'
import { Traffic } from './traffic.js'
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
  recovery: Recovery
  warnings: Warnings
}

/**
 * One dependency's mode: signals go in, the rule decides, `#transition` makes the one change of the circuit's state,
 * `#settle` the one change of mode, everything else follows. Owns the state, due time, lease and generation.
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
  readonly #damping = new Damping()
  readonly #warning: RateWarning
  #circuit: CircuitSettings
  #enforce: boolean
  #state: CircuitState = CLOSED
  /** Recoveries that failed, or whose ramp did, since the last one that held. */
  #failedRecoveries = 0
  /** What opened the circuit. */
  #opened: Cause = causeOf('traffic', '')
  /** What the others ask for; the circuit's own word is put in when it is decided. */
  readonly #signals: Signals = {}
  #override: Override | undefined
  #expiry: Timer | undefined
  #lastMode: Mode = 'available'
  #lastWouldBe: Mode = 'available'

  constructor({ dependency, clock, stalls, circuit, enforce, listener, recovery, warnings }: VerdictOptions) {
    this.dependency = dependency
    this.#clock = clock
    this.#stalls = stalls
    this.#circuit = circuit
    this.#enforce = enforce
    this.#listener = listener
    this.#recovery = recovery
    this.since = clock.wall()
    this.traffic = new Traffic(circuit)
    this.#warning = new RateWarning(clock, warnings, (now) => this.traffic.figures(now), warningRule(circuit))
    this.ramp = new Ramp(clock, circuit.rampFor, (completed) => {
      if (completed) this.#rampCompleted()
      listener.rose()
    })
  }

  // What others read.

  get mode(): Mode {
    return decide(this.#obeyed)?.mode ?? 'available'
  }

  /** What it would be without an operator, and if it were obeyed. */
  get wouldBe(): Mode {
    const { parent, invariant, traffic, probe } = this.#signals
    return (parent ?? invariant ?? traffic ?? probe)?.mode ?? 'available'
  }

  /** Whose word holds at present; undefined while all is well. */
  get decider(): CauseKind | undefined {
    return decide(this.#obeyed)?.cause.kind
  }

  /** Worth calling: also while a half-open circuit waits for a user's call to be its trial. */
  get available(): boolean {
    const ruling = decide(this.#obeyed)
    if (ruling === undefined || ruling.mode === 'available') return true
    const { kind } = ruling.cause
    return (kind === 'traffic' || kind === 'probe') && this.#waitsForCalls
  }

  /** The state after transitions that are due. */
  get circuitState(): CircuitState['kind'] {
    this.refresh()
    return this.#state.kind
  }

  get trialDue(): boolean {
    return this.#waitsForCalls && (this.#state as { trial?: Attempt }).trial === undefined
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
    this.refresh()
    attempt.generation = this.generation
    const ruling = decide(this.#obeyed)
    if (ruling !== undefined && ruling.cause.kind !== 'traffic' && ruling.cause.kind !== 'probe') {
      if (ruling.mode === 'unavailable') return this.refusal()
      // Somebody vouches for it against what traffic says: what it brings can't judge.
      if (this.#state.kind !== 'closed') attempt.generation = -1
      return undefined
    }
    if (this.trialDue && attempt.call.pipeline.counts) {
      ;(this.#state as { trial: Attempt | undefined }).trial = attempt
      attempt.trial = true
      this.mirror?.beginTrial(attempt)
      return undefined
    }
    if (ruling !== undefined) return this.refusal()
    // Only watched: it passes, but what would have been refused can't judge either.
    if (this.#state.kind !== 'closed') attempt.generation = -1
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
    const { traffic } = this
    if (good && took < traffic.baseline.level && !attempt.trial) {
      traffic.good(now, took)
      return
    }
    const stalled = this.#stalls.since(attempt.stalledBefore, now)
    const slow = took - stalled >= traffic.baseline.level || sample === 'timeout'
    // The greater part of it was our own event loop's stall: nobody's failure, and nobody's slowness.
    const ours = stalled > took / 2
    if (!ours && sample !== 'cut') traffic.timed(now, took)
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

  // What probes say.

  /**
   * Probes fail, and no call says otherwise: the circuit opens.
   * @returns false when traffic knows better, or there is nothing to open
   */
  probesFail(reason: Reason): boolean {
    if (this.#state.kind !== 'closed' || this.#signals.operator?.mode === 'available') return true
    if (this.traffic.healthy(this.#clock.now())) return false
    this.#open(causeOf('probe', reason))
    return true
  }

  /** Enough trial probes have passed. */
  probesPass(): void {
    this.refresh()
    if (this.#state.kind === 'half-open' && this.#state.step === 'trial') this.#trialPassed('its probes passed')
  }

  trialProbeFailed(): void {
    this.refresh()
    if (this.#state.kind === 'half-open' && this.#state.step === 'trial') this.#trialFailed('the trial probe failed')
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
    this.#silence('invariant', causeOf('operator', 'acknowledged', by), true)
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

  /** Forces a mode until `override.for` has passed, in place of an earlier one. */
  force(override: Override): void {
    const { mode, reason, by } = override
    const cause = causeOf('operator', reason, by)
    this.#dropOverride()
    this.#override = override
    this.#signals.operator = { mode, cause }
    if (override.for !== Infinity)
      this.#expiry = backgroundTimer(
        this.#clock,
        () => {
          this.#lift(causeOf('operator', 'expired'))
        },
        override.for,
      )
    if (mode === 'available') {
      // The operator vouches for it: what traffic thought before is void, and no ramp holds it back.
      if (this.#state.kind !== 'closed') this.#transition(CLOSED, cause)
      this.ramp.stop()
    }
    this.#settle(cause)
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
    this.#enforce = enforce
    this.traffic.configure(circuit, this.#clock.now())
    this.#warning.rule = warningRule(circuit)
    this.ramp.length = circuit.rampFor
    this.#settle(causeOf('operator', 'configured'))
  }

  /** Nothing may pass any more. */
  shut(): void {
    if (this.#signals.closed !== undefined) return
    const cause = causeOf('closed', 'closed')
    this.#signals.closed = { mode: 'unavailable', cause }
    this.#dropOverride()
    this.ramp.stop()
    this.#warning.stop()
    // No flip: that an app shuts down says nothing about the dependency, and must wake nobody.
    this.#lastMode = 'unavailable'
    this.#settle(cause)
  }

  // Inside.

  /** Those who are obeyed: with `enforce: false` only people are. */
  get #obeyed(): Signals {
    if (this.#enforce) return this.#signals
    const { closed, drain, disabled, operator } = this.#signals
    return { closed, drain, disabled, operator }
  }

  /** A half-open circuit whose trial is a user's to make. */
  get #waitsForCalls(): boolean {
    this.refresh()
    return this.#state.kind === 'half-open' && this.#state.step === 'trial' && !this.#recovery.probed
  }

  #judge(now: number, sample: Sample, slow: boolean): void {
    this.traffic.record(now, sample, slow)
    if (this.#override?.mode === 'available' || this.#state.kind !== 'closed') return
    const reason = this.traffic.verdict(now)
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

  #trialFailed(reason: Reason): void {
    this.#failedRecoveries++
    this.#open(causeOf(this.#opened.kind, reason))
  }

  /** Reachable. Before it is trusted its invariants must hold, and an operator may have the last word. */
  #trialPassed(reason: Reason): void {
    const state = this.#await('invariants', `${reason}; its invariants are being read`)
    const proof = this.#recovery.prove()
    const go = (result: Proof): void => {
      // Something else has changed the state meanwhile.
      if (this.#state !== state) return
      if (result === 'unreadable') this.#trialFailed('its invariants could not be read')
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
    this.#signals[this.#opened.kind] = { mode: 'unavailable', cause: causeOf(this.#opened.kind, reason) }
    this.#settle(this.#opened)
    return state
  }

  #open(cause: Cause): void {
    if (this.ramp.running) this.#failedRecoveries++
    this.ramp.stop()
    const now = this.#clock.now()
    const flips = this.#enforce && this.mode === 'available'
    const heldBefore = this.#damping.suppressedFor(now)
    if (flips) this.#damping.flipped(now)
    const held = this.#enforce ? this.#damping.suppressedFor(now) : 0
    const openFor = Math.max(this.#openTime(), held)
    if (this.#state.kind === 'closed') this.#opened = cause
    this.#transition({ kind: 'open', until: now + openFor }, cause)
    this.#listener.opened(openFor, cause.kind)
    if (held === 0 || heldBefore > 0) return
    const episode = this.#damping.episode(now)
    if (episode !== undefined)
      this.#listener.flapping({ flips: episode.flips, within: now - episode.since, suppressedFor: held })
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
    this.#signals.traffic = this.#signals.probe = undefined
    if (to.kind === 'closed') {
      this.traffic.forget()
      if (this.#enforce && this.#signals.closed === undefined) this.ramp.start()
    } else this.#signals[this.#opened.kind] = { mode: 'unavailable', cause: this.#opened }
    this.#settle(cause)
    if (to.kind === 'closed') this.#listener.closed()
  }

  #say(kind: Held, reason: Reason | undefined, silent: Reason, by?: string): void {
    if (reason === undefined) {
      this.#silence(kind, causeOf(kind, silent, by))
      return
    }
    const cause = causeOf(kind, reason, by)
    this.#signals[kind] = { mode: kind === 'disabled' ? 'available' : 'unavailable', cause }
    this.#settle(cause)
  }

  /** One of those who kept it unavailable does so no more. It isn't trusted before its invariants have been read. */
  #silence(kind: Held, cause: Cause, proven = false): void {
    const before = this.#signals[kind]
    if (before === undefined) return
    const was = this.mode
    const go = (result: Proof): void => {
      if (result === 'unreadable') this.#open(causeOf('traffic', 'its invariants could not be read'))
      this.#signals[kind] = undefined
      if (this.#enforce && was === 'unavailable' && this.mode !== was) this.ramp.start()
      this.#settle(cause)
    }
    const wouldReturn = was === 'unavailable' && decide({ ...this.#obeyed, [kind]: undefined }) === undefined
    const proof = proven || !wouldReturn || !this.#enforce ? undefined : this.#recovery.prove()
    if (proof === undefined) {
      go('holds')
      return
    }
    const waiting = {
      mode: 'unavailable',
      cause: { ...cause, reason: `${cause.reason}; its invariants are being read` },
    } as const
    this.#signals[kind] = waiting
    this.#settle(cause)
    void proof.then((result) => {
      if (this.#signals[kind] === waiting) go(result)
    })
  }

  /** Tells everybody what has changed, once per real change. */
  #settle(cause: Cause): void {
    const ruling = decide(this.#obeyed)
    this.closed = this.#state.kind === 'closed' && ruling === undefined
    const mode = ruling?.mode ?? 'available'
    this.#showMirror(ruling)
    if (mode !== this.#lastMode) {
      this.#lastMode = mode
      this.since = this.#clock.wall()
      this.cause = ruling?.cause ?? cause
      this.#listener.changed()
      this.#listener.flipped(mode, this.cause, true)
    } else {
      if (ruling !== undefined) this.cause = ruling.cause
      this.#listener.changed()
    }
    const { wouldBe } = this
    if (wouldBe === this.#lastWouldBe) return
    this.#lastWouldBe = wouldBe
    if (!this.#enforce) this.#listener.flipped(wouldBe, cause, false)
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
