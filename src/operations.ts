import type { Attempt } from './core/attempt.js'
import type { Background } from './core/background.js'
import type { CallContext, CallOptions, CallWatch, Life, Pipeline, Struck } from './core/call.js'
import type { Clock } from './core/clock.js'
import { assemble } from './core/compose.js'
import { CACHES, type CacheSource } from './core/dump.js'
import { InvariantError, OptionError } from './core/errors.js'
import type { Gate } from './core/gate.js'
import type { Guard } from './core/guard.js'
import type { InFlight } from './core/in-flight.js'
import type { PolicyHost, RecovererPolicy } from './core/policy.js'
import { stallWatch } from './core/stall.js'
import type { Tally } from './core/tally.js'
import { callEntries, type Operation, type Wrapped } from './core/wrapped.js'
import type { DependencySettings } from './dependency-options.js'
import type { InBandInvariant } from './health/invariant-definition.js'
import type { Monitors } from './health/monitors.js'
import { operationSettings, type OperationOptions, type OperationSettings } from './operation-options.js'
import { SecondStore } from './policies/cache/second-store.js'
import { Store } from './policies/cache/store.js'
import { Fallback } from './policies/fallback.js'
import { Retry } from './policies/retry.js'
import type { Retries } from './policies/retry/retries.js'
import { StaleCache } from './policies/stale-cache.js'

/** `run` takes the options of a call and of an operation together. */
export type RunOptions<R> = CallOptions & Omit<OperationOptions<[], R>, keyof CallOptions>

/** @internal What operations have of their dependency. */
export interface Operable {
  readonly dependency: string
  readonly clock: Clock
  readonly tally: Tally
  readonly inFlight: InFlight<Attempt>
  readonly life: Life
  readonly verdict: Gate
  readonly monitors: Monitors
  readonly retries: Retries
  readonly settings: () => DependencySettings
  /** @param timeout the operation's own, ms */
  readonly guards: (timeout: number | undefined) => Guard[]
  readonly background: () => Background
  readonly watch: CallWatch
  readonly olderValue: (operation: string) => void
  readonly report: (error: unknown) => void
}

/** The operations of one dependency: each has recoverers of its own, and all share the guards and one store. */
export class Operations {
  /** Those whose values can be dumped. */
  readonly sources: CacheSource[] = []
  readonly #of: Operable
  readonly #store: Store
  readonly #second: SecondStore | undefined
  readonly #unlisten: (() => void) | undefined
  readonly #names = new Set<string>()
  /** What runs in the background for them. */
  readonly #stops = new Set<() => void>()
  /** What one-off calls of the same name share: their cache. */
  readonly #runs = new Map<string, (operation: Operation<[], unknown>, options: CallOptions) => Promise<unknown>>()

  constructor(of: Operable, stale: DependencySettings['stale']) {
    this.#of = of
    this.#store = new Store(stale)
    this.#second = stale.store === undefined ? undefined : SecondStore.of(of.clock, stale.store)
    this.#unlisten = this.#second?.listen(of.report)
  }

  wrap<A extends unknown[], R>(
    operation: Operation<A, R>,
    options: OperationOptions<A, Awaited<R>>,
  ): Wrapped<A, Awaited<R>> {
    if (typeof operation !== 'function') throw new OptionError('operation', 'must be a function')
    const settings = operationSettings(options, this.#of.settings().stale)
    return this.#assemble<A, R>(operation, settings, this.#nameOf(operation, settings))
  }

  async run<R>(operation: Operation<[], R>, options: RunOptions<Awaited<R>>): Promise<Awaited<R>> {
    const own: Record<string, unknown> = {}
    const ofCall: Record<string, unknown> = {}
    for (const [name, value] of Object.entries(options)) (name in callEntries ? ofCall : own)[name] = value
    const settings = operationSettings(own, this.#of.settings().stale)
    const { name } = settings
    if (settings.cache === undefined) {
      const once = this.#assemble<[], R>(operation, settings, name ?? (operation.name || 'run'))
      return once.with(ofCall)()
    }
    if (name === undefined) throw new OptionError('name', 'is required with key')
    let run = this.#runs.get(name)
    if (run === undefined) {
      this.#nameOf(operation, settings)
      this.#runs.set(name, (run = this.#shared(settings, name)))
    }
    return (await run(operation, ofCall)) as Awaited<R>
  }

  /** What runs in the background ends. */
  stop(): void {
    for (const stop of this.#stops) stop()
  }

  /** Lets go of the second level, once what is to be written there has been, or `timeout` ms have passed. */
  async close(timeout: number): Promise<void> {
    await this.#second?.idle(timeout)
    this.#unlisten?.()
  }

  #assemble<A extends unknown[], R>(
    operation: Operation<A, R>,
    settings: OperationSettings,
    name: string,
  ): Wrapped<A, Awaited<R>> {
    const host = this.#policyHost(name, settings.name !== undefined)
    const checked = settings.invariant === undefined ? operation : this.#checked(operation, settings.invariant)
    return assemble<A, R>(
      this.#pipeline(checked, settings),
      host,
      this.#recoverers(settings),
      this.#of.guards(settings.timeout),
    )
  }

  #policyHost(operation: string, named: boolean): Omit<PolicyHost, 'index'> {
    const { dependency, clock, tally, verdict, background } = this.#of
    return {
      clock,
      stalls: stallWatch(clock),
      tally,
      dependency,
      operation,
      named,
      report: (error) => {
        this.#of.report(error)
      },
      trialDue: () => verdict.trialDue,
      retryAfter: () => verdict.retryAfter,
      available: () => verdict.mode === 'available',
      background,
      onClose: (stop) => this.#stops.add(stop),
    }
  }

  /** The operation with its results checked; where rules are only watched, what breaks them is told of and handed on. */
  #checked<A extends unknown[], R>(
    operation: Operation<A, R>,
    invariant: InBandInvariant<never>,
  ): Operation<A, Promise<R>> {
    const check = this.#of.monitors.inBand<R>(invariant as InBandInvariant<R>)
    return async (context, ...args) => {
      let run: Promise<R> | undefined
      const work = (): R => operation(context, ...args)
      const { injection } = this.#of.life
      const begin = injection === undefined ? work : (): R => injection.run(context as CallContext & Struck, work) as R
      const once = (): Promise<R> => (run ??= (async () => await begin())())
      try {
        return await check(once, context)
      } catch (error) {
        if (this.#of.settings().enforce || !(error instanceof InvariantError)) throw error
        // What failed beside the question whether it holds: the store.
        if (error.cause !== undefined) this.#of.report(error.cause)
        return once()
      }
    }
  }

  #pipeline(operation: Operation<never, unknown>, settings: OperationSettings) {
    const { timeout, total, counts, detached, label, invariant } = settings
    const { inFlight, life, watch } = this.#of
    return {
      operation: operation as Pipeline['operation'],
      checked: invariant !== undefined,
      total,
      patience: timeout,
      inFlight,
      counts,
      detached,
      label,
      life,
      watch,
    }
  }

  #recoverers({ fallback, cache, idempotent, retry }: OperationSettings): RecovererPolicy[] {
    const policies: RecovererPolicy[] = []
    if (fallback !== undefined)
      policies.push({ role: 'recoverer', kind: 'fallback', make: (host) => new Fallback(host, fallback) })
    if (cache !== undefined)
      policies.push({
        role: 'recoverer',
        kind: 'stale cache',
        make: (host) => {
          const made = new StaleCache(
            host,
            cache,
            this.#store,
            () => {
              this.#of.olderValue(host.operation)
            },
            this.#second,
          )
          this.sources.push(...made.cache[CACHES]!.sources())
          return made
        },
      })
    if (idempotent)
      policies.push({ role: 'recoverer', kind: 'retry', make: (host) => new Retry(host, this.#of.retries, retry) })
    return policies
  }

  /** One-off calls whose operation differs each time and whose cache is the same. */
  #shared(settings: OperationSettings, name: string) {
    // The operation is the call's only argument, hidden from `key` and `scope`, which take none here.
    const wrapped = this.#assemble((context, operation: Operation<[], unknown>) => operation(context), settings, name)
    return (operation: Operation<[], unknown>, options: CallOptions): Promise<unknown> =>
      wrapped.with(options)(operation)
  }

  /** Cached operations need a name of their own, or they would share values. */
  #nameOf(operation: { name: string }, { name, cache }: OperationSettings): string {
    const wanted = name ?? (operation.name || 'operation')
    if (!this.#names.has(wanted)) {
      this.#names.add(wanted)
      return wanted
    }
    if (name !== undefined && cache !== undefined)
      throw new OptionError('name', `"${name}" is a cached operation's already; two never share a value`)
    if (cache === undefined) return wanted
    for (let n = 2; ; n++) {
      const numbered = `${wanted}-${n}`
      if (this.#names.has(numbered)) continue
      this.#names.add(numbered)
      return numbered
    }
  }
}
