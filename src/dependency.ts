import type CircuitBreaker from 'opossum'
import { closeSchema, type CloseOptions } from './close-options.js'
import { Compartment } from './compartment.js'
import type { Clock } from './core/clock.js'
import { CACHES, type Caches } from './core/dump.js'
import { GATE, type Gated } from './core/gate.js'
import { parse } from './core/options.js'
import type { Operation, Wrapped } from './core/wrapped.js'
import type { DependencyHost } from './dependency-host.js'
import { settingsOf, type DependencyOptions, type DependencySettings, type GivenOptions } from './dependency-options.js'
import { drainOptions, type Drained, type DrainOptions } from './drain.js'
import type { Health } from './health/health.js'
import type { Acknowledged } from './health/monitors.js'
import type { Mode, Override } from './health/override.js'
import type { DependencySnapshot } from './health/snapshot.js'
import type { OperationOptions } from './operation-options.js'
import { Operations, type RunOptions } from './operations.js'
import type { End, Fault, Injected, InjectOptions } from './policies/inject.js'
import type { TryingState } from './registry-events.js'
import { describeWork, type WorkInFlight } from './work-in-flight.js'

/** What a dependency has of its registry. */
export interface Registered {
  readonly clock: Clock
  /** Of its dependencies, already checked. */
  readonly defaults: DependencyOptions
  hostOf(name: string): DependencyHost
}

/**
 * One guarded dependency: circuit, slots and timers belong to it, cache and fallback to each wrapped operation. Made by
 * `registry.dependency(…)`.
 *
 * Until it is used it is a name with settings, and available; the parts come with the first use, or at once where
 * something runs by itself.
 */
export class Dependency implements Gated {
  readonly name: string
  readonly #registry: Registered
  readonly #since: number
  readonly #operations = new Operations(this)
  #given: GivenOptions
  #required: boolean
  #tags: readonly string[]
  #compartment: Compartment | undefined

  /** @internal Use `registry.dependency(…)`. */
  constructor(name: string, settings: DependencySettings, registry: Registered) {
    this.name = name
    this.#given = settings.given
    this.#required = settings.required
    this.#tags = settings.tags
    this.#registry = registry
    this.#since = registry.clock.wall()
    if (runsByItself(settings)) this.#make(settings)
  }

  /** Readiness is red while it is unavailable. */
  get required(): boolean {
    return this.#required
  }

  /** One switch for many. */
  get tags(): readonly string[] {
    return this.#tags
  }

  /** The registry's verdict, read from memory. */
  get mode(): Mode {
    const verdict = this.#compartment?.verdict
    if (verdict === undefined) return 'available'
    verdict.refresh()
    return verdict.mode
  }

  /**
   * A real opossum breaker in step with this dependency, for listeners, dashboards and exporters written for opossum.
   * It follows: to change anything, use `registry.setMode`. From the first reading on every call is told to it.
   */
  get circuit(): CircuitBreaker<[], undefined> {
    return this.compartment.mirror
  }

  /** How it is: mode and circuit, the window's figures, latency, slots and what was counted so far. */
  health(): Health {
    return this.compartment.health()
  }

  /** Work that has not ended, oldest first; also when its caller has gone or its slot was reclaimed. */
  inFlight(): WorkInFlight[] {
    return [...(this.#compartment?.inFlight ?? [])].map((attempt) => describeWork(attempt, this.clock))
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
    if (this.closed !== undefined) throw this.closed
    return this.compartment.drains.drain(given)
  }

  /**
   * Rehearses a fault, as `registry.inject` does.
   *
   * @throws OptionError (`ERR_OPTION`), also where NODE_ENV is production unless `allowProduction`; ClosedError
   * @example
   * using fault = feed.inject({ error: new HttpError(503), delay: 200, rate: 0.5, for: 60_000 })
   */
  inject(options: InjectOptions): Injected {
    return this.compartment.inject(options)
  }

  /**
   * Refuses new calls, lets calls in flight end, aborts those that are left after `timeout`, and lets go of
   * timers and of its share of a pool. Idempotent.
   *
   * @throws OptionError (`ERR_OPTION`)
   */
  close(options: CloseOptions = {}): Promise<void> {
    const { timeout = this.settings.timeout } = parse(closeSchema, options, 'close')
    return this.compartment.close(timeout, this.#operations)
  }

  // For the registry.

  /** @internal Made when it is first looked at. */
  get compartment(): Compartment {
    return this.#compartment ?? this.#make(this.settings)
  }

  /** @internal */
  snapshot(): DependencySnapshot {
    const { name } = this
    const verdict = this.#compartment?.verdict
    if (verdict === undefined) {
      const since = this.#since
      return Object.freeze({ name, known: true, mode: 'available', available: true, circuit: 'closed', since })
    }
    const circuit = verdict.circuitState
    const { mode, since, cause, override, available } = verdict
    return Object.freeze({
      name,
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
    this.#compartment?.verdict.refresh()
    return this.#compartment?.verdict.retryAfter === undefined
  }

  /** @internal @param expired runs when its time is over */
  force(override: Override, expired: () => void): void {
    this.compartment.force(override, expired)
  }

  /** @internal */
  clear(by?: string): void {
    this.#compartment?.verdict.clear(by)
  }

  /** @internal */
  acknowledge(accept: boolean, by?: string): Promise<Acknowledged> {
    return this.compartment.acknowledge(accept, by)
  }

  /** @internal @param expired runs when its time is over */
  disable(reason: string, by: string | undefined, ms: number, expired: () => void): void {
    this.compartment.disable(reason, by, ms, expired)
  }

  /** @internal */
  enable(by?: string): void {
    this.#compartment?.enable(by)
  }

  /** @internal @param ended told once, when it is stopped, its time is over, or the dependency is disabled or closed */
  startInjecting(fault: Fault, ended: End): End {
    return this.compartment.faults.add(fault, ended)
  }

  /** @internal */
  stopInjecting(by?: string): void {
    this.#compartment?.faults.end('stopped', by)
  }

  /** @internal Whether faults are being injected. */
  get injected(): boolean {
    return this.#compartment?.faults.active === true
  }

  /** @internal Whether a flip may have come of them: they are being injected, or what came of some still judges it. */
  get rehearsed(): boolean {
    return this.injected || this.#compartment?.verdict.rehearsed === true
  }

  /** @internal */
  get disabled(): boolean {
    return this.#compartment?.warnings.has('disabled') === true
  }

  /** @internal @param reason `undefined` = all that it depends on is available */
  setParent(reason: string | undefined): void {
    if (reason === undefined) this.#compartment?.verdict.setParent(reason)
    else this.compartment.verdict.setParent(reason)
  }

  /** @internal @param parents those that nobody has registered */
  missParents(parents: readonly string[]): void {
    if (parents.length === 0) this.#compartment?.warnings.clear('parent')
    else {
      const names = parents.map((name) => JSON.stringify(name)).join(', ')
      this.compartment.warnings.raise('parent', `depends on what is not registered: ${names}`, this.clock.wall())
    }
  }

  /** @internal Whether somebody listens for work that takes long; parts that are yet to be made will ask the registry. */
  set longCallsHeard(heard: boolean) {
    if (this.#compartment !== undefined) this.#compartment.longCalls.heard = heard
  }

  /**
   * @internal Whether nobody knows yet if it is there: a first probe is awaited, and neither a call nor an operator has
   * vouched for it meanwhile.
   */
  get awaited(): boolean {
    const compartment = this.#compartment
    if (compartment === undefined || !compartment.monitors.awaited || !compartment.enforced) return false
    return compartment.tally.counts.successes === 0 && compartment.verdict.decider === undefined
  }

  // For `keepTrying`.

  /** @internal */
  get clock(): Clock {
    return this.#registry.clock
  }

  /** @internal Why nothing may start any more: it was closed, by itself or with its registry. */
  get closed(): Error | undefined {
    return this.#compartment?.life.closed
  }

  /** @internal Whether it is worth calling, and if not, when it may be, in ms. */
  get standing(): { available: boolean; retryAfter: number | undefined } {
    const { verdict } = this.compartment
    verdict.refresh()
    return { available: verdict.available, retryAfter: verdict.retryAfter }
  }

  /**
   * @internal Listens for flips, for an operator's word and for the end.
   * @param listener `hurry`: an operator has said that it is available
   */
  follow(listener: (hurry: boolean) => void): () => void {
    const { followers } = this.compartment
    followers.add(listener)
    return () => {
      followers.delete(listener)
    }
  }

  /** @internal */
  connection(state: TryingState): void {
    this.compartment.connection(state)
  }

  /** @internal */
  report(error: unknown): void {
    this.compartment.report(error)
  }

  /** @internal Worked out anew while it is idle: they take more room than all else of it. */
  get settings(): DependencySettings {
    return this.#compartment?.settings ?? settingsOf(this.#given, this.#registry.defaults)
  }

  /** @internal @throws OptionError (`ERR_OPTION`); nothing has changed then */
  configure(settings: DependencySettings): void {
    if (this.#compartment !== undefined) this.#compartment.configure(settings)
    else if (runsByItself(settings)) this.#make(settings)
    this.#given = settings.given
    this.#required = settings.required
    this.#tags = settings.tags
  }

  /** For `circuit`, where policies are composed by hand. */
  get [GATE](): Gated[typeof GATE] {
    const { verdict, tally, inFlight } = this.compartment
    return { gate: verdict, tally, inFlight }
  }

  /** @internal */
  get [CACHES](): Caches {
    const { clock, background } = this.compartment
    return {
      clock,
      background,
      sources: () => this.#operations.sources,
      report: (error) => {
        this.report(error)
      },
    }
  }

  #make(settings: DependencySettings): Compartment {
    const { name } = this
    const compartment = new Compartment(name, settings, this.#since, this.#registry.hostOf(name))
    try {
      this.#operations.begin(compartment)
    } catch (error) {
      compartment.leavePool()
      throw error
    }
    this.#compartment = compartment
    compartment.begin()
    return compartment
  }
}

/** Whether something of it runs, or others reckon with it, before it is called. */
function runsByItself({ probe, invariants, bulkhead, stale }: DependencySettings): boolean {
  const { pool, classes } = bulkhead
  return (
    probe !== undefined || invariants.length > 0 || pool !== undefined || classes.size > 0 || stale.store !== undefined
  )
}
