import type { Background } from '../core/background.js'
import type { Clock } from '../core/clock.js'
import { Periodic } from '../core/periodic.js'
import type { Proof, Recovery } from './followers.js'
import type { InBandInvariant, Invariant } from './invariant-definition.js'
import type { CheckedRun, InvariantState } from './invariant-state.js'
import { Invariants } from './invariants.js'
import { Probe, type Probed, type ProbeSettings } from './probe.js'
import type { Warnings } from './warnings.js'

/** What monitors need of the dependency that they watch. */
export interface Watched {
  readonly name: string
  readonly clock: Clock
  readonly required: () => boolean
  /** Made when something first runs in it. */
  readonly background: () => Background
  readonly verdict: () => Obeying
  readonly warnings: Warnings
  /** Whose the trial is may have changed. */
  readonly changed: () => void
  /** Probes and traffic contradict each other. */
  readonly disagreed: (probes: 'passing' | 'failing') => void
  readonly report: (error: unknown) => void
}

/** What monitors tell; it decides what becomes of it. */
export interface Obeying extends Probed {
  latch(reason: string): void
  unlatch(by?: string): void
}

/** What came of an operator's `acknowledge`. */
export interface Acknowledged {
  /** Nothing is broken any more. */
  readonly holds: boolean
  readonly broken: readonly { readonly invariant: string; readonly reason: string }[]
}

/** What watches a dependency besides its calls: a probe, and the invariants of its data. */
export class Monitors implements Recovery {
  readonly #watched: Watched
  readonly #invariants: Invariants
  readonly #polled: InvariantState[]
  /** For what is being read at the end; only where something is. */
  #ended: AbortController | undefined
  #polls: Periodic[] = []
  /** What has been found broken and not been acknowledged, by name. */
  readonly #broken = new Map<string, { reason: string }>()
  readonly #unreadable = new Set<InvariantState>()
  #probe: Probe | undefined
  #disagrees: 'passing' | 'failing' | undefined

  /** @throws OptionError (`ERR_OPTION`) when invariants contradict each other */
  constructor(watched: Watched, invariants: readonly Invariant[]) {
    this.#watched = watched
    const { name: dependency, clock, report } = watched
    this.#invariants = new Invariants({
      dependency,
      clock,
      report,
      onViolation: (reason, invariant) => {
        this.#violated(invariant, reason)
      },
    })
    this.#polled = invariants.map((definition) => this.#invariants.polled(definition, 'invariants'))
  }

  /** Begins to poll: not before all else of the dependency stands. */
  begin(): void {
    if (this.#polled.length === 0) return
    this.#ended ??= new AbortController()
    this.#polls = this.#polled.map(
      (state) =>
        new Periodic(this.#watched.background(), 'invariant', state.every!, () =>
          this.#poll(state).then(() => undefined),
        ),
    )
  }

  /** One that checks an operation's results. @throws OptionError (`ERR_OPTION`) */
  inBand<R>(definition: InBandInvariant<R>): CheckedRun<R> {
    return this.#invariants.inBand(definition, 'invariant')
  }

  /** Begins to probe, goes on otherwise, or stops. */
  probe(settings: ProbeSettings | undefined): void {
    if (settings === undefined) {
      this.#probe?.stop()
      this.#probe = undefined
      return
    }
    if (this.#probe !== undefined) {
      this.#probe.configure(settings)
      return
    }
    const { background, verdict, required } = this.#watched
    this.#probe = new Probe(background(), settings, verdict(), required(), {
      disagrees: () => {
        this.#disagree('failing')
      },
      agrees: () => {
        this.#disagrees = undefined
      },
      ailing: (text) => {
        this.#ailing(text)
      },
    })
  }

  /** A first probe has not vouched for it yet. */
  get awaited(): boolean {
    return this.#probe?.vouched === false
  }

  /** A probe that can't tell leaves the trial to a user's call, or a broken monitor would keep it away for ever. */
  get probed(): boolean {
    return this.#probe !== undefined && this.#probe.last !== 'inconclusive'
  }

  prove(): Promise<Proof> | undefined {
    if (this.#polled.length === 0) return undefined
    const background = this.#watched.background()
    const readings = this.#polled.map((state) => background.run('invariant', () => this.#poll(state)))
    return Promise.all(readings).then((proofs) =>
      proofs.includes('broken') ? 'broken' : proofs.includes('unreadable') ? 'unreadable' : 'holds',
    )
  }

  /** @param accept what is read now is right from now on */
  async acknowledge(accept: boolean, by?: string): Promise<Acknowledged> {
    const { signal } = (this.#ended ??= new AbortController())
    await Promise.all(
      [...this.#broken].map(async ([name, found]) => {
        const state = this.#invariants.get(name)
        try {
          const finding = accept ? await state?.accept(signal) : await state?.poll(signal)
          if (typeof finding === 'object') found.reason = finding.violation
          // Broken anew while it was read: that is another matter.
          else if (this.#broken.get(name) === found) this.#broken.delete(name)
        } catch {
          found.reason = `${name}: it could not be read`
        }
      }),
    )
    const broken = [...this.#broken].map(([invariant, { reason }]) => ({ invariant, reason }))
    if (broken.length === 0) this.#watched.verdict().unlatch(by)
    return { holds: broken.length === 0, broken }
  }

  /** The circuit opened; with probes, the next one is its trial. */
  opened(trialIn: number, byTraffic: boolean): void {
    if (byTraffic && this.#probe?.last === 'passed') this.#disagree('passing')
    this.#probe?.opened(trialIn)
  }

  closed(): void {
    this.#disagrees = undefined
    this.#probe?.closed()
  }

  /** For good. What is being read is aborted, and decides nothing. */
  stop(): void {
    this.#probe?.stop()
    for (const poll of this.#polls) poll.stop()
    this.#ended?.abort()
  }

  /** Never rejects. */
  async #poll(state: InvariantState): Promise<Proof> {
    const signal = this.#ended?.signal
    try {
      const finding = await state.poll(signal)
      this.#readable(state, true)
      if (finding === 'holds') return 'holds'
      this.#violated(state.name, finding.violation)
      return 'broken'
    } catch {
      if (signal?.aborted !== true) this.#readable(state, false)
      return 'unreadable'
    }
  }

  #readable(state: InvariantState, readable: boolean): void {
    const { warnings, clock } = this.#watched
    if (readable) this.#unreadable.delete(state)
    else this.#unreadable.add(state)
    const names = [...this.#unreadable].map(({ name }) => name)
    if (names.length === 0) warnings.clear('invariant')
    else warnings.raise('invariant', `${names.join(', ')} could not be read`, clock.wall())
  }

  #ailing(text: string | undefined): void {
    const { warnings, clock, changed } = this.#watched
    if (warnings.has('probe') === (text !== undefined)) return
    if (text === undefined) warnings.clear('probe')
    else warnings.raise('probe', text, clock.wall())
    changed()
  }

  #violated(invariant: string, reason: string): void {
    this.#broken.set(invariant, { reason })
    this.#watched.verdict().latch(reason)
  }

  #disagree(probes: 'passing' | 'failing'): void {
    if (this.#disagrees === probes) return
    this.#disagrees = probes
    this.#watched.disagreed(probes)
  }
}
