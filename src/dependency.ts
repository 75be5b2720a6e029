import type CircuitBreaker from 'opossum'
import { closeSchema, type CloseOptions } from './close-options.js'
import type { Attempt } from './core/attempt.js'
import { bound } from './core/bound.js'
import type { CallWatch, Life } from './core/call.js'
import type { Background } from './core/background.js'
import { backgroundTimer, type Clock, type Timer } from './core/clock.js'
import { ClosedError } from './core/errors.js'
import { CACHES, type Caches } from './core/dump.js'
import { GATE, type Gate, type Gated } from './core/gate.js'
import { InFlight } from './core/in-flight.js'
import { parse } from './core/options.js'
import { Slots, type Share } from './core/slots.js'
import { stallWatch } from './core/stall.js'
import { Tally } from './core/tally.js'
import type { Operation, Wrapped } from './core/wrapped.js'
import type { DependencySettings } from './dependency-options.js'
import { drainOptions, Drains, type Drainable, type Drained, type DrainOptions } from './drain.js'
import type { Flapping, VerdictListener } from './health/followers.js'
import { healthOf, type Health } from './health/health.js'
import { LongCalls } from './health/long-calls.js'
import { OpossumMirror } from './health/mirror.js'
import { Monitors, type Acknowledged, type Watched } from './health/monitors.js'
import type { Mode, Override } from './health/override.js'
import type { DependencySnapshot } from './health/snapshot.js'
import type { Cause } from './health/cause.js'
import { Verdict } from './health/verdict.js'
import { Warnings, type Warning } from './health/warnings.js'
import type { OperationOptions } from './operation-options.js'
import { Operations, type Operable, type RunOptions } from './operations.js'
import { Bulkhead } from './policies/bulkhead.js'
import { Circuit } from './policies/circuit.js'
import { Faults, type End, type Fault, type Injected, type InjectOptions } from './policies/inject.js'
import { Rate } from './policies/rate.js'
import { Retries } from './policies/retry/retries.js'
import { Timeout, Timeouts, type Limits } from './policies/timeout.js'
import type { TryingState } from './registry-events.js'
import { abortWork, describeWork, forgetOldest, type WorkInFlight } from './work-in-flight.js'

/** @internal What a dependency tells its registry. */
export interface DependencyHost {
  readonly clock: Clock
  readonly background: () => Background
  changed(): void
  flipped(to: Mode, cause: Cause, enforced: boolean): void
  warned(warning: Warning, raised: boolean): void
  shut(): void
  flapping(flapping: Flapping): void
  disagreed(probes: 'passing' | 'failing'): void
  longCall(attempt: Attempt, ranFor: number): void
  /** @param reason `undefined` = released */
  drained(reason: string | undefined, by?: string): void
  leaked(attempt: Attempt): void
  olderValue(operation: string): void
  connection(state: TryingState): void
  inject(options: InjectOptions): Injected
  readonly watch: CallWatch
  report(error: unknown): void
}

/**
 * One guarded dependency, put together from the rooms below: circuit, slots and timers belong to it,
 * cache and fallback to each wrapped operation. Made by `registry.dependency(…)`.
 */
export class Dependency implements Gated {
  readonly name: string
  /** @internal */
  readonly [GATE]: { gate: Gate; tally: Tally; inFlight: InFlight<Attempt> }
  /** @internal */
  readonly [CACHES]: Caches
  readonly #host: DependencyHost
  readonly #clock: Clock
  readonly #tally = new Tally()
  readonly #warnings: Warnings
  readonly #verdict: Verdict
  readonly #monitors: Monitors
  readonly #slots: Slots
  readonly #classes: ReadonlyMap<string, Slots>
  readonly #rate: Rate
  readonly #retries: Retries
  readonly #bulkhead: Bulkhead
  readonly #timeouts: Timeouts
  readonly #limits: Limits
  readonly #inFlight = new InFlight<Attempt>()
  readonly #longCalls: LongCalls
  readonly #drains: Drains
  readonly #operations: Operations
  readonly #followers = new Set<(hurry: boolean) => void>()
  readonly #life: Life
  readonly #faults: Faults
  #settings: DependencySettings
  #mirror: OpossumMirror | undefined
  #enabling: Timer | undefined
  #closing: Promise<void> | undefined

  /** @internal Use `registry.dependency(…)`. */
  constructor(name: string, settings: DependencySettings, host: DependencyHost) {
    const { clock } = host
    this.name = name
    this.#settings = settings
    this.#host = host
    this.#clock = clock
    this.#life = { closed: undefined, bypassed: false, injection: undefined, ...lifeOf(settings) }
    this.#faults = new Faults(clock, this.#tally, (faults) => {
      this.#injecting(faults)
    })
    this.#warnings = new Warnings((warning, raised) => {
      host.warned(warning, raised)
    })
    this.#monitors = new Monitors(this.#watched(), settings.invariants)
    this.#verdict = new Verdict({
      dependency: name,
      clock,
      stalls: stallWatch(clock),
      circuit: settings.circuit,
      enforce: settings.enforce,
      listener: this.#listener(),
      recovery: this.#monitors,
      warnings: this.#warnings,
    })
    const { bulkhead } = settings
    this.#slots =
      bulkhead.pool?.slots.join(name, bulkhead.share, 'bulkhead.guaranteed') ?? Slots.pool(name, bulkhead.slots)
    const { others, classes } = this.#joinClasses()
    this.#classes = classes
    this.#rate = new Rate(clock, this.#tally)
    this.#rate.configure(settings.rate)
    this.#retries = new Retries(clock, settings.retry, () => this.mode === 'available')
    this.#bulkhead = new Bulkhead(clock, this.#tally, others, classes, bulkhead, (attempt) => {
      this.#leaked(attempt)
    })
    this.#timeouts = new Timeouts(clock)
    this.#limits = limitsOf(this.#timeouts, settings)
    this.#longCalls = new LongCalls(host.background, clock, this.#inFlight, settings.longCall, (attempt, ranFor) => {
      host.longCall(attempt, ranFor)
    })
    this.#drains = new Drains(this.#drainable())
    this.#operations = new Operations(this.#operable(), settings.stale)
    this[GATE] = { gate: this.#verdict, tally: this.#tally, inFlight: this.#inFlight }
    this[CACHES] = {
      clock,
      background: host.background,
      sources: () => this.#operations.sources,
      report: (error) => {
        host.report(error)
      },
    }
    this.#monitors.begin()
    this.#monitors.probe(this.#probeOf(settings))
  }

  /** Readiness is red while it is unavailable. */
  get required(): boolean {
    return this.#settings.required
  }

  /** One switch for many. */
  get tags(): readonly string[] {
    return this.#settings.tags
  }

  /** The registry's verdict, read from memory. */
  get mode(): Mode {
    this.#verdict.refresh()
    return this.#verdict.mode
  }

  /**
   * A real opossum breaker in step with this dependency, for listeners, dashboards and exporters written for opossum.
   * It follows: to change anything, use `registry.setMode`. From the first reading on every call is told to it.
   */
  get circuit(): CircuitBreaker<[], undefined> {
    const mirror = this.#mirrored()
    this.#tally.follow ??= (what, attempt) => {
      mirror.count(what, attempt)
    }
    return mirror
  }

  /** How it is: mode and circuit, the window's figures, latency, slots and what was counted so far. */
  health(): Health {
    const { size, forgotten } = this.#inFlight
    return healthOf(this.#verdict, this.#slots, this.#tally, size + forgotten, this.#warnings.list)
  }

  /** Work that has not ended, oldest first; also when its caller has gone or its slot was reclaimed. */
  inFlight(): WorkInFlight[] {
    return [...this.#inFlight].map((attempt) => describeWork(attempt, this.#clock))
  }

  /**
   * Wraps one operation of this dependency. The result is called with the same arguments, less the context.
   *
   * @throws OptionError (`ERR_OPTION`) naming the option
   * @example
   * const loadFeed = feed.wrap(
   *   async ({ signal }, category: string) => (await fetch(`${base}/${category}`, { signal })).json(),
   *   { name: 'load-feed', key: (category) => category, scope: 'public', fallback: { value: [] } },
   * )
   */
  wrap<A extends unknown[], R>(
    operation: Operation<A, R>,
    options: NoInfer<OperationOptions<A, Awaited<R>>> = {},
  ): Wrapped<A, Awaited<R>> {
    return this.#operations.wrap(operation, options)
  }

  /**
   * Calls `operation` once, guarded. It is cached only with `name`, `key` and `scope`; calls of one name share
   * their cache, with the options of the first.
   *
   * @throws what a wrapped operation throws
   * @example
   * await feed.run(({ signal }) => fetch(url, { signal }), { timeout: 200 })
   */
  run<R>(operation: Operation<[], R>, options: RunOptions<Awaited<R>> = {}): Promise<Awaited<R>> {
    return this.#operations.run(operation, options)
  }

  /**
   * Empties it for exclusive work: unavailable from now on, waiters are refused, and calls in flight end or are aborted
   * after `timeout`. Resolves when no work is running, that of callers who have gone included; calls are let in again
   * when it is released.
   *
   * @throws DrainError (`ERR_DRAIN`) when work is still running at the end; calls are let in again then; OptionError
   * (`ERR_OPTION`); ClosedError (`ERR_CLOSED`)
   * @example
   * await using drained = await feed.drain({ reason: 'repair', timeout: 10_000 })
   */
  async drain(options: DrainOptions): Promise<Drained> {
    const given = drainOptions(options)
    if (this.#life.closed !== undefined) throw this.#life.closed
    return this.#drains.drain(given)
  }

  /**
   * Rehearses a fault, as `registry.inject` does.
   *
   * @throws OptionError (`ERR_OPTION`), also where NODE_ENV is production unless `allowProduction`; ClosedError
   * @example
   * using fault = feed.inject({ error: new HttpError(503), delay: 200, rate: 0.5, for: 60_000 })
   */
  inject(options: InjectOptions): Injected {
    return this.#host.inject(options)
  }

  /**
   * Refuses new calls, lets calls in flight end, aborts those that are left after `timeout`, and lets go of
   * timers and of its share of a pool. Idempotent.
   *
   * @throws OptionError (`ERR_OPTION`)
   */
  close(options: CloseOptions = {}): Promise<void> {
    const { timeout = this.#settings.timeout } = parse(closeSchema, options, 'close')
    return (this.#closing ??= this.#close(timeout))
  }

  // For the registry.

  /** @internal */
  snapshot(): DependencySnapshot {
    const verdict = this.#verdict
    const circuit = verdict.circuitState
    const { mode, since, cause, override, available } = verdict
    return Object.freeze({
      name: this.name,
      known: true,
      mode,
      available,
      circuit,
      since,
      ...(cause === undefined ? {} : { reason: cause.reason }),
      ...(override?.notice === undefined ? {} : { notice: override.notice }),
    })
  }

  /** @internal Applies a transition that is due. @returns whether none will be due later */
  refresh(): boolean {
    this.#verdict.refresh()
    return this.#verdict.retryAfter === undefined
  }

  /** @internal @param expired runs when its time is over */
  force(override: Override, expired: () => void): void {
    this.#verdict.force(override, expired)
    this.#rampSlots()
    this.#tell(override.mode === 'available')
  }

  /** @internal */
  clear(by?: string): void {
    this.#verdict.clear(by)
  }

  /** @internal */
  async acknowledge(accept: boolean, by?: string): Promise<Acknowledged> {
    const acknowledged = await this.#monitors.acknowledge(accept, by)
    if (acknowledged.holds) this.#verdict.acknowledge(by)
    return acknowledged
  }

  /** @internal @param expired runs when its time is over */
  disable(reason: string, by: string | undefined, ms: number, expired: () => void): void {
    this.#cancelEnabling()
    this.#faults.end('disabled', by)
    if (ms !== Infinity)
      this.#enabling = backgroundTimer(
        this.#clock,
        () => {
          expired()
          this.enable()
        },
        ms,
      )
    this.#warnings.raise('disabled', `disabled: ${reason}`, this.#clock.wall())
    this.#verdict.setDisabled(reason, by)
  }

  /** @internal */
  enable(by?: string): void {
    this.#cancelEnabling()
    this.#verdict.setDisabled(undefined, by)
    this.#warnings.clear('disabled')
  }

  /** @internal @param ended told once, when it is stopped, its time is over, or the dependency is disabled or closed */
  startInjecting(fault: Fault, ended: End): End {
    return this.#faults.add(fault, ended)
  }

  /** @internal */
  stopInjecting(by?: string): void {
    this.#faults.end('stopped', by)
  }

  /** @internal Whether faults are being injected. */
  get injected(): boolean {
    return this.#faults.active
  }

  /** @internal */
  get disabled(): boolean {
    return this.#warnings.has('disabled')
  }

  /** @internal @param reason `undefined` = all that it depends on is available */
  setParent(reason: string | undefined): void {
    this.#verdict.setParent(reason)
  }

  /** @internal @param parents those that nobody has registered */
  missParents(parents: readonly string[]): void {
    if (parents.length === 0) this.#warnings.clear('parent')
    else {
      const names = parents.map((name) => JSON.stringify(name)).join(', ')
      this.#warnings.raise('parent', `depends on what is not registered: ${names}`, this.#clock.wall())
    }
  }

  /** @internal Whether somebody listens for work that takes long. */
  set longCallsHeard(heard: boolean) {
    this.#longCalls.heard = heard
  }

  /**
   * @internal Whether nobody knows yet if it is there: a first probe is awaited, and neither a call nor an operator has
   * vouched for it meanwhile.
   */
  get awaited(): boolean {
    if (!this.#monitors.awaited || !this.#settings.enforce) return false
    return this.#tally.counts.successes === 0 && this.#verdict.decider === undefined
  }

  // For `keepTrying`.

  /** @internal */
  get clock(): Clock {
    return this.#clock
  }

  /** @internal Why nothing may start any more: it was closed, by itself or with its registry. */
  get closed(): Error | undefined {
    return this.#life.closed
  }

  /** @internal Whether it is worth calling, and if not, when it may be, in ms. */
  get standing(): { available: boolean; retryAfter: number | undefined } {
    this.#verdict.refresh()
    return { available: this.#verdict.available, retryAfter: this.#verdict.retryAfter }
  }

  /**
   * @internal Listens for flips, for an operator's word and for the end.
   * @param listener `hurry`: an operator has said that it is available
   */
  follow(listener: (hurry: boolean) => void): () => void {
    this.#followers.add(listener)
    return () => {
      this.#followers.delete(listener)
    }
  }

  /** @internal */
  connection(state: TryingState): void {
    this.#host.connection(state)
  }

  /** @internal */
  report(error: unknown): void {
    this.#host.report(error)
  }

  /** @internal */
  get settings(): DependencySettings {
    return this.#settings
  }

  /** @internal @throws OptionError (`ERR_OPTION`); nothing has changed then */
  configure(settings: DependencySettings): void {
    const { bulkhead } = settings
    const shares = new Map<Slots, Share>()
    for (const [name, share] of bulkhead.classes) shares.set(this.#classes.get(name)!, share)
    this.#slots.resize(bulkhead.pool === undefined ? bulkhead.slots : bulkhead.share, 'bulkhead', shares)
    this.#settings = settings
    Object.assign(this.#life, lifeOf(settings))
    Object.assign(this.#limits, limitsOf(this.#timeouts, settings))
    this.#bulkhead.configure(bulkhead)
    this.#rate.configure(settings.rate)
    this.#retries.configure(settings.retry, this.#inFlight.begun)
    this.#longCalls.limit = settings.longCall
    this.#monitors.probe(this.#probeOf(settings))
    this.#verdict.configure(settings.circuit, settings.enforce)
  }

  // Inside.

  #watched(): Watched {
    const { clock, background } = this.#host
    return {
      name: this.name,
      clock,
      required: () => this.required,
      background,
      verdict: () => this.#verdict,
      warnings: this.#warnings,
      changed: () => {
        this.#host.changed()
      },
      disagreed: (probes) => {
        this.#host.disagreed(probes)
      },
      report: (error) => {
        this.#host.report(error)
      },
    }
  }

  #listener(): VerdictListener {
    const host = this.#host
    return {
      changed: () => {
        this.#life.bypassed = this.#verdict.decider === 'disabled'
        host.changed()
      },
      flipped: (to, cause, enforced) => {
        if (enforced && to === 'unavailable') {
          this.#mirrored()
          // Who waits learns it too, instead of calling what is known to be unavailable.
          this.#dismiss(this.#verdict.refusal())
        }
        this.#tell(false)
        host.flipped(to, cause, enforced)
      },
      rose: () => {
        this.#rampSlots()
      },
      opened: (trialIn, kind) => {
        this.#monitors.opened(trialIn, kind === 'traffic')
      },
      closed: () => {
        this.#monitors.closed()
      },
      shut: () => {
        host.shut()
      },
      flapping: (flapping) => {
        host.flapping(flapping)
      },
    }
  }

  #drainable(): Drainable {
    return {
      name: this.name,
      clock: this.#clock,
      inFlight: this.#inFlight,
      timeout: () => this.#settings.timeout,
      hold: (reason, by) => {
        this.#verdict.setDrain(reason, by)
      },
      note: (reason, by) => {
        this.#host.drained(reason, by)
      },
      dismiss: () => {
        this.#dismiss(this.#verdict.refusal())
      },
    }
  }

  #tell(hurry: boolean): void {
    for (const tell of [...this.#followers]) tell(hurry)
  }

  /** Sends those away who wait: for a slot, for their turn, for another try. */
  #dismiss(error: unknown): void {
    this.#rate.dismiss(error)
    this.#slots.dismiss(error)
    this.#retries.dismiss()
  }

  #injecting(faults: Faults): void {
    this.#life.injection = faults.active ? faults : undefined
    if (faults.active) this.#warnings.raise('injected', `faults are injected: ${faults.text}`, this.#clock.wall())
    else this.#warnings.clear('injected')
  }

  #probeOf({ probe }: DependencySettings): DependencySettings['probe'] {
    if (probe === undefined) return undefined
    const faults = this.#faults
    return {
      ...probe,
      run: (context) => (faults.active ? faults.probe(context.signal, () => probe.run(context)) : probe.run(context)),
    }
  }

  #joinClasses(): { others: Slots; classes: Map<string, Slots> } {
    const classes = new Map<string, Slots>()
    if (this.#settings.bulkhead.classes.size === 0) return { others: this.#slots, classes }
    try {
      for (const [name, share] of this.#settings.bulkhead.classes)
        classes.set(name, this.#slots.join(`class ${name}`, share, `bulkhead.classes.${name}`))
      return { others: this.#slots.join('others', { guaranteed: 0 }, 'bulkhead.classes'), classes }
    } catch (error) {
      this.#settings.bulkhead.pool?.slots.remove(this.#slots)
      throw error
    }
  }

  #operable(): Operable {
    const host = this.#host
    const circuit = new Circuit(this.#verdict, this.#tally)
    return {
      dependency: this.name,
      clock: this.#clock,
      tally: this.#tally,
      inFlight: this.#inFlight,
      life: this.#life,
      verdict: this.#verdict,
      monitors: this.#monitors,
      retries: this.#retries,
      settings: () => this.#settings,
      guards: (timeout) => [circuit, this.#rate, this.#bulkhead, new Timeout(this.#timeouts, timeout ?? this.#limits)],
      background: host.background,
      watch: host.watch,
      olderValue: (operation) => {
        host.olderValue(operation)
      },
      report: (error) => {
        host.report(error)
      },
    }
  }

  #mirrored(): OpossumMirror {
    if (this.#mirror === undefined) {
      this.#mirror = new OpossumMirror(this.name, this.#clock, (error) => {
        this.#host.report(error)
      })
      this.#verdict.mirror = this.#mirror
      if (this.#verdict.mode === 'unavailable') this.#mirror.showOpen(this.#verdict.retryAfter ?? Infinity)
    }
    return this.#mirror
  }

  /** While the ramp runs, fewer slots than there are. */
  #rampSlots(): void {
    const { ramp } = this.#verdict
    this.#slots.ceiling = ramp.running ? () => ramp.ceiling(this.#slots.capacity) : undefined
    this.#slots.serve()
  }

  #leaked(attempt: Attempt): void {
    this.#host.leaked(attempt)
    forgetOldest(this.#inFlight)
  }

  async #close(timeout: number): Promise<void> {
    const closed = new ClosedError(`${this.name} was closed`, { dependency: this.name })
    this.#life.closed = closed
    this.#dismiss(closed)
    this.#tell(false)
    this.#verdict.shut()
    this.#monitors.stop()
    this.#longCalls.stop()
    this.#operations.stop()
    this.#faults.end('closed')
    this.#cancelEnabling()
    await bound(this.#clock, this.#inFlight.empty(), timeout, () => undefined)
    for (const attempt of this.#inFlight) abortWork(attempt, closed)
    await this.#operations.close(timeout)
    this.#bulkhead.close()
    this.#timeouts.close()
    this.#settings.bulkhead.pool?.slots.remove(this.#slots)
    this.#mirror?.shutdown()
    this.#drains.close(closed)
  }

  #cancelEnabling(): void {
    if (this.#enabling !== undefined) this.#clock.clearTimer(this.#enabling)
    this.#enabling = undefined
  }
}

function lifeOf({ total, timeout, circuit }: DependencySettings): Pick<Life, 'total' | 'patience' | 'isFailure'> {
  return { total, patience: timeout, isFailure: circuit.isFailure }
}

function limitsOf(timeouts: Timeouts, { timeout, bulkhead }: DependencySettings): Limits {
  const byClass = new Map<string, number>()
  for (const [name, share] of bulkhead.classes) if (share.timeout !== undefined) byClass.set(name, share.timeout)
  return { own: timeouts.of(timeout), byClass }
}
