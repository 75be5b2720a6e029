import type { Mode } from '../../../src/index.js'

/** What the dependency under test was given. No two of its times can fall due at the same ms. */
export const TIMES = {
  // Longer than the circuit stays open at first: results from before it arrive after it.
  timeout: 2_503,
  openFor: 1_001,
  openForAtMost: 8_009,
  ramp: 400,
  probeTimeout: 304.125,
  invariantTimeout: 306,
  override: 1_507,
  disable: 2_005,
  drain: 402,
  grace: 206,
} as const

export type Answer = 'well' | 'bad' | 'hangs' | 'cannot tell'
export type Voice = 'drain' | 'operator' | 'parent' | 'invariant'

/** Work that has begun, as the rules see it. */
export interface ModelWork {
  /** The epoch that its result belongs to; undefined = it can't judge. */
  epoch: object | undefined
  trial: boolean
  /** Passed the guards, which time it and hear what came of it. */
  guarded: boolean
  callerWaits: boolean
  /** Goes on although it was aborted. */
  stubborn: boolean
}

interface Circuit {
  kind: 'closed' | 'open' | 'half-open'
  until: number
  step: 'trial' | 'invariants' | 'operator'
  trial: ModelWork | undefined
  /** Who opened it. */
  by: 'traffic' | 'probe'
}

interface Due {
  at: number
  run: () => void
}

/** The rules, told again as simply as they can be: what is so at each moment, and who says so. */
export class Model {
  now = 0
  closed = false
  enforce = true
  openFor: number = TIMES.openFor
  /** What the invariant and the probe would answer. */
  invariant: Answer = 'well'
  probe: Answer = 'well'
  readonly drains = new Map<number, 'emptying' | 'held'>()
  readonly failedDrains = new Set<number>()
  disabled = false
  override: Mode | undefined
  parentDown = false
  latched = false
  circuit: Circuit = { kind: 'closed', until: 0, step: 'trial', trial: undefined, by: 'traffic' }
  epoch = {}
  readonly works = new Set<ModelWork>()
  readonly flips: string[] = []
  readonly #recover: 'itself' | 'operator'
  readonly #probed: boolean
  /** Those who have fallen silent and are still obeyed, until the invariants have been read. */
  readonly #waived = new Map<Voice, object>()
  #samples: { at: number; failed: boolean }[] = []
  #row = 0
  #failedRecoveries = 0
  #ramp: object | undefined
  #penalty = 0
  #flippedAt = 0
  #suppressed = { began: -Infinity, until: -Infinity }
  #lastProbe: Answer | undefined
  #probesInARow = 0
  #due: Due[] = []
  #told: Mode = 'available'

  constructor(recover: 'itself' | 'operator', probed: boolean) {
    this.#recover = recover
    this.#probed = probed
  }

  /** Time goes on: what falls due happens in order. */
  catchUp(now: number): void {
    for (;;) {
      const next = this.#due.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#due.splice(this.#due.indexOf(next), 1)
      this.now = Math.max(this.now, next.at)
      this.#refresh()
      next.run()
    }
    this.now = now
    this.#refresh()
  }

  // Who decides.

  /** The highest that speaks. */
  get ruling(): { mode: Mode; by: string } | undefined {
    const all: [string, Mode | false | undefined, 'person' | 'measured'][] = [
      ['closed', this.closed && 'unavailable', 'person'],
      ['drain', (this.drains.size > 0 || this.#waived.has('drain')) && 'unavailable', 'person'],
      ['disabled', this.disabled && 'available', 'person'],
      ['operator', this.#waived.has('operator') ? 'unavailable' : this.override, 'person'],
      ['parent', (this.parentDown || this.#waived.has('parent')) && 'unavailable', 'measured'],
      ['invariant', this.latched && 'unavailable', 'measured'],
      [this.circuit.by, this.circuit.kind !== 'closed' && 'unavailable', 'measured'],
    ]
    for (const [by, mode, whose] of all)
      if (mode !== false && mode !== undefined && (this.enforce || whose === 'person')) return { mode, by }
    return undefined
  }

  get mode(): Mode {
    return this.ruling?.mode ?? 'available'
  }

  get wouldBe(): Mode {
    const well = !this.parentDown && !this.#waived.has('parent') && !this.latched && this.circuit.kind === 'closed'
    return well ? 'available' : 'unavailable'
  }

  get available(): boolean {
    const { ruling } = this
    if (ruling?.mode !== 'unavailable') return true
    return (ruling.by === 'traffic' || ruling.by === 'probe') && this.#waitsForCalls
  }

  get #waitsForCalls(): boolean {
    const { kind, step } = this.circuit
    return kind === 'half-open' && step === 'trial' && !(this.#probed && this.#lastProbe !== 'cannot tell')
  }

  // Calls.

  /** What becomes of a call that is made now. */
  admit(stubborn: boolean): ModelWork | 'ERR_CLOSED' | 'ERR_UNAVAILABLE' {
    if (this.closed) return 'ERR_CLOSED'
    const { ruling, circuit } = this
    const work: ModelWork = { epoch: undefined, trial: false, guarded: true, callerWaits: true, stubborn }
    if (ruling?.by === 'disabled') return { ...work, guarded: false }
    const circuits = ruling === undefined || ruling.by === 'traffic' || ruling.by === 'probe'
    if (circuits && this.#waitsForCalls && circuit.trial === undefined)
      return { ...work, trial: true, epoch: this.epoch }
    if (ruling?.mode === 'unavailable') return 'ERR_UNAVAILABLE'
    return { ...work, epoch: circuit.kind === 'closed' ? this.epoch : undefined }
  }

  begun(work: ModelWork): void {
    this.works.add(work)
    if (work.trial) this.circuit.trial = work
    if (!work.guarded) return
    this.#in(TIMES.timeout, () => {
      if (!this.works.has(work) || !work.callerWaits) return
      this.#sample(work, true)
      this.leave(work, false)
    })
  }

  ended(work: ModelWork, failed: boolean): void {
    this.works.delete(work)
    if (work.callerWaits) this.#sample(work, failed)
    this.#emptied()
  }

  /** Its caller has gone, or was sent away; who is told ends. */
  leave(work: ModelWork, decidesNothing = true): void {
    if (decidesNothing && this.circuit.trial === work) this.circuit.trial = undefined
    work.callerWaits = false
    if (!work.stubborn) this.works.delete(work)
    this.#emptied()
  }

  #sample({ guarded, epoch, trial }: ModelWork, failed: boolean): void {
    if (!guarded || epoch !== this.epoch) return
    if (trial) {
      if (this.circuit.step !== 'trial') return
      if (failed) this.#trialFailed()
      else this.#trialPassed()
      return
    }
    this.#forgetOld()
    if (this.#samples.length === 0) this.#row = 0
    this.#samples = [...this.#samples, { at: this.now, failed }].slice(-6)
    this.#row = failed ? this.#row + 1 : 0
    if (!failed || this.override === 'available' || this.circuit.kind !== 'closed') return
    const bad = this.#samples.filter((sample) => sample.failed).length
    if (this.#samples.length < 6 ? this.#row >= 3 : bad >= 3) this.#open('traffic')
  }

  #forgetOld(): void {
    this.#samples = this.#samples.filter(({ at }) => at > this.now - 3_600_000)
  }

  get window(): { calls: number; failures: number } {
    this.#forgetOld()
    return { calls: this.#samples.length, failures: this.#samples.filter(({ failed }) => failed).length }
  }

  get ramping(): boolean {
    return this.#ramp !== undefined
  }

  get #healthy(): boolean {
    const { calls, failures } = this.window
    return calls > 0 && failures < calls / 2
  }

  // Opening and recovering.

  #open(by: Circuit['by']): void {
    if (this.#ramp !== undefined) this.#failedRecoveries++
    this.#ramp = undefined
    // A flip that nobody has been told of is none.
    if (this.enforce && this.mode === 'available' && this.#told === 'available') this.#penalise()
    const grown = Math.min(TIMES.openForAtMost, this.openFor * 2 ** this.#failedRecoveries)
    const until =
      this.now + Math.max(this.#failedRecoveries === 0 ? this.openFor : grown, this.#suppressed.until - this.now)
    const opener = this.circuit.kind === 'closed' ? by : this.circuit.by
    this.circuit = { kind: 'open', until, step: 'trial', trial: undefined, by: opener }
    this.epoch = {}
    this.#probesInARow = 0
    this.tell()
  }

  #penalise(): void {
    const { now } = this
    this.#penalty = Math.min(1_000 * 2 ** 2.5, this.#penalty * 2 ** ((this.#flippedAt - now) / 120_000) + 1_000)
    this.#flippedAt = now
    const already = now < this.#suppressed.until
    if (!already && this.#penalty < 3_000) return
    const began = already ? this.#suppressed.began : now
    this.#suppressed = {
      began,
      until: Math.min(now + 120_000 * Math.log2(this.#penalty / 1_000), began + 300_000),
    }
  }

  #refresh(): void {
    if (this.circuit.kind !== 'open' || this.now < this.circuit.until) return
    this.circuit = { ...this.circuit, kind: 'half-open', step: 'trial', trial: undefined }
    this.epoch = {}
  }

  #trialFailed(): void {
    this.#failedRecoveries++
    this.#open(this.circuit.by)
  }

  #trialPassed(): void {
    const { circuit } = this
    circuit.step = 'invariants'
    circuit.trial = undefined
    this.#prove((result) => {
      if (this.circuit !== circuit) return
      if (result === 'unreadable') this.#trialFailed()
      else if (result === 'holds' && this.#recover === 'operator') circuit.step = 'operator'
      else this.#close()
    })
  }

  #close(): void {
    this.circuit = { ...this.circuit, kind: 'closed', trial: undefined }
    this.epoch = {}
    this.#samples = []
    this.#row = 0
    this.#probesInARow = 0
    if (this.enforce && this.ruling === undefined) this.#startRamp()
    if (!this.enforce) this.#failedRecoveries = 0
    this.tell()
  }

  #startRamp(): void {
    const ramp = (this.#ramp = {})
    this.#in(TIMES.ramp, () => {
      if (this.#ramp !== ramp) return
      this.#ramp = undefined
      this.#failedRecoveries = 0
    })
  }

  /** Reads the invariants: `then` runs at once unless that hangs. */
  #prove(then: (result: 'holds' | 'broken' | 'unreadable') => void): void {
    if (this.invariant === 'bad') this.latch()
    if (this.invariant === 'hangs')
      this.#in(TIMES.invariantTimeout, () => {
        then('unreadable')
      })
    else then(this.invariant === 'well' ? 'holds' : this.invariant === 'bad' ? 'broken' : 'unreadable')
  }

  // Probes and invariants, as they are seen to run.

  probeBegan(): void {
    const before = this.circuit.kind
    if (this.probe !== 'hangs') this.#probeAnswered(before, this.probe)
    else
      this.#in(TIMES.probeTimeout, () => {
        this.#probeAnswered(before, 'bad')
      })
  }

  #probeAnswered(before: Circuit['kind'], answer: Answer): void {
    if (this.circuit.kind !== before) return
    this.#probesInARow = answer === 'cannot tell' ? 0 : answer === this.#lastProbe ? this.#probesInARow + 1 : 1
    this.#lastProbe = answer
    if (answer === 'cannot tell') return
    if (before === 'half-open') {
      // Also while an operator is awaited: what had recovered is gone again.
      if (answer === 'bad' && this.circuit.step !== 'invariants') this.#trialFailed()
      else if (answer === 'well' && this.circuit.step === 'trial' && this.#probesInARow >= 2) this.#trialPassed()
    } else if (before === 'closed' && answer === 'bad' && this.#probesInARow >= 2)
      if (this.override !== 'available' && !this.#healthy) this.#open('probe')
  }

  latch(): void {
    this.latched = true
    this.tell()
  }

  acknowledge(): void {
    const done = (): void => {
      if (this.latched) return
      if (this.circuit.kind === 'half-open' && this.circuit.step === 'operator') this.#close()
    }
    if (!this.latched || this.invariant === 'well') {
      if (this.latched)
        this.silence('invariant', () => {
          this.latched = false
        })
      done()
    } else if (this.invariant === 'hangs') this.#in(TIMES.invariantTimeout, done)
  }

  // People.

  force(mode: Mode): void {
    this.#waived.delete('operator')
    this.override = mode
    this.#cancel('override')
    this.#in(
      TIMES.override,
      () => {
        this.lift()
      },
      'override',
    )
    if (mode === 'available') {
      this.#ramp = undefined
      this.#failedRecoveries = 0
      if (this.circuit.kind !== 'closed') this.#close()
    }
    this.tell()
  }

  lift(): void {
    this.#cancel('override')
    if (this.override === undefined) return
    this.silence('operator', () => {
      this.override = undefined
    })
  }

  disable(): void {
    this.disabled = true
    this.#cancel('disable')
    this.#in(
      TIMES.disable,
      () => {
        this.enable()
      },
      'disable',
    )
    this.tell()
  }

  enable(): void {
    this.#cancel('disable')
    this.disabled = false
    this.tell()
  }

  drain(id: number): void {
    this.#waived.delete('drain')
    this.drains.set(id, 'emptying')
    this.tell()
    this.#in(TIMES.drain, () => {
      if (this.drains.get(id) !== 'emptying') return
      for (const work of this.works) this.leave(work)
      this.#in(TIMES.grace, () => {
        if (this.drains.get(id) !== 'emptying') return
        this.failedDrains.add(id)
        this.release(id)
      })
    })
    this.#emptied()
  }

  release(id: number): void {
    if (!this.drains.has(id)) return
    if (this.drains.size > 1) this.drains.delete(id)
    else
      this.silence('drain', () => {
        this.drains.delete(id)
      })
  }

  #emptied(): void {
    if (this.works.size === 0) for (const id of this.drains.keys()) this.drains.set(id, 'held')
  }

  setParent(down: boolean): void {
    if (down) this.#waived.delete('parent')
    if (down) this.parentDown = true
    else if (this.parentDown)
      this.silence('parent', () => {
        this.parentDown = false
      })
    this.tell()
  }

  configure(enforce: boolean, openFor: number): void {
    this.enforce = enforce
    this.openFor = openFor
    if (!enforce) this.#ramp = undefined
    this.tell()
  }

  close(): void {
    this.closed = true
    this.#ramp = undefined
    // That an app shuts down is no flip.
    this.#told = 'unavailable'
    this.#in(TIMES.timeout, () => {
      for (const work of this.works) this.leave(work)
    })
  }

  /** Somebody falls silent; what comes back by that has its invariants read before. */
  silence(voice: Voice, hush: () => void): void {
    const before = this.mode
    hush()
    const returns = this.enforce && before === 'unavailable' && this.ruling === undefined
    if (!returns || voice === 'invariant') {
      this.#returned()
      return
    }
    const waiver = {}
    this.#waived.set(voice, waiver)
    this.#prove((result) => {
      if (this.#waived.get(voice) !== waiver) return
      this.#waived.delete(voice)
      if (this.enforce && this.#told === 'unavailable' && result === 'unreadable' && this.ruling === undefined)
        this.#open('traffic')
      else this.#returned()
    })
  }

  #returned(): void {
    if (this.enforce && this.ruling === undefined && this.#told === 'unavailable') this.#startRamp()
    this.tell()
  }

  /** A flip, if it is one. */
  tell(): void {
    const { mode, ruling } = this
    if (mode === this.#told) return
    this.#told = mode
    if (mode === 'unavailable') this.#ramp = undefined
    this.flips.push(mode === 'available' ? mode : `${mode}: ${ruling!.by}`)
  }

  #in(ms: number, run: () => void, name?: string): void {
    const due: Due & { name?: string | undefined } = { at: this.now + ms, run, name }
    this.#due.push(due)
  }

  #cancel(name: string): void {
    this.#due = this.#due.filter((due) => (due as { name?: string }).name !== name)
  }
}
