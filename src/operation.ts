import type { Attempt } from './core/attempt.js'
import type { Background } from './core/background.js'
import type { CallContext, CallWatch, Life, Pipeline, Struck } from './core/call.js'
import type { Clock } from './core/clock.js'
import { assemble } from './core/compose.js'
import { CACHES, type CacheSource } from './core/dump.js'
import { InvariantError } from './core/errors.js'
import type { Gate } from './core/gate.js'
import type { Guard } from './core/guard.js'
import type { InFlight } from './core/in-flight.js'
import type { PolicyHost, RecovererPolicy } from './core/policy.js'
import { stallWatch } from './core/stall.js'
import type { Tally } from './core/tally.js'
import type { Assembly, Keeper, Operation } from './core/wrapped.js'
import type { InBandInvariant } from './health/invariant-definition.js'
import type { Monitors } from './health/monitors.js'
import type { OperationSettings } from './operation-options.js'
import type { SecondStore } from './policies/cache/second-store.js'
import type { Store } from './policies/cache/store.js'
import { Fallback } from './policies/fallback.js'
import { Retry } from './policies/retry.js'
import type { Retries } from './policies/retry/retries.js'
import { StaleCache } from './policies/stale-cache.js'

/** What an operation that is used has of its dependency. */
export interface Operable {
  readonly name: string
  readonly clock: Clock
  readonly tally: Tally
  readonly inFlight: InFlight<Attempt>
  readonly life: Life
  readonly verdict: Gate
  readonly monitors: Monitors
  readonly retries: Retries
  /** Whether rules are obeyed, or only watched. */
  readonly enforced: boolean
  readonly background: () => Background
  readonly watch: CallWatch
  /** @param timeout the operation's own, ms */
  guards(timeout: number | undefined): Guard[]
  olderValue(operation: string): void
  /** @param stop ends what runs in the background for an operation */
  onClose(stop: () => void): void
  report(error: unknown): void
}

/** What it shares with the others of its dependency. */
export interface Shared {
  /** Made when it is first looked at. */
  readonly of: Operable
  readonly store: Store
  readonly second: SecondStore | undefined
}

/** One wrapped operation: no more than its options until it is first used, its pipeline from then on. */
export class OperationAssembly implements Assembly {
  readonly name: string
  /** The one before it that is cached. */
  older: OperationAssembly | undefined = undefined
  readonly #shared: Shared
  readonly #operation: Pipeline['operation']
  readonly #settings: OperationSettings
  #pipeline: Pipeline | undefined = undefined
  #keeper: Keeper | undefined = undefined

  constructor(shared: Shared, operation: Operation<never, unknown>, settings: OperationSettings, name: string) {
    this.#shared = shared
    this.#operation = operation as Pipeline['operation']
    this.#settings = settings
    this.name = name
  }

  get pipeline(): Pipeline {
    return this.#pipeline ?? this.assemble()
  }

  get keeper(): Keeper | undefined {
    if (this.#pipeline === undefined) this.assemble()
    return this.#keeper
  }

  /** What it keeps, as far as that can be dumped. */
  get sources(): readonly CacheSource[] {
    return this.#settings.cache === undefined ? [] : this.keeper!.cache[CACHES]!.sources()
  }

  /** @throws OptionError (`ERR_OPTION`) when its invariant contradicts others */
  assemble(): Pipeline {
    const { name } = this
    const { of } = this.#shared
    const settings = this.#settings
    const { timeout, total, counts, detached, label, invariant } = settings
    const { inFlight, life, watch } = of
    const { pipeline, keeper } = assemble(
      {
        operation: invariant === undefined ? this.#operation : this.#checked(of, invariant),
        checked: invariant !== undefined,
        total,
        patience: timeout,
        inFlight,
        counts,
        detached,
        label,
        life,
        watch,
      },
      this.#policyHost(name, settings.name !== undefined),
      this.#recoverers(settings),
      of.guards(timeout),
    )
    this.#keeper = keeper
    return (this.#pipeline = pipeline)
  }

  #policyHost(operation: string, named: boolean): Omit<PolicyHost, 'index'> {
    const { of } = this.#shared
    const { name: dependency, clock, tally, verdict, background } = of
    return {
      clock,
      stalls: stallWatch(clock),
      tally,
      dependency,
      operation,
      named,
      report: (error) => {
        of.report(error)
      },
      trialDue: () => verdict.trialDue,
      retryAfter: () => verdict.retryAfter,
      available: () => verdict.mode === 'available',
      background,
      onClose: (stop) => {
        of.onClose(stop)
      },
    }
  }

  /** The operation with its results checked; where rules are only watched, what breaks them is told of and handed on. */
  #checked(of: Operable, invariant: InBandInvariant<never>): Operation<never[], Promise<unknown>> {
    const operation = this.#operation
    const check = of.monitors.inBand<unknown>(invariant as InBandInvariant<unknown>)
    return async (context, ...args) => {
      let run: Promise<unknown> | undefined
      const work = (): unknown => operation(context, ...args)
      const { injection } = of.life
      const begin = injection === undefined ? work : () => injection.run(context as CallContext & Struck, work)
      const once = (): Promise<unknown> => (run ??= (async () => await begin())())
      try {
        return await check(once, context)
      } catch (error) {
        if (of.enforced || !(error instanceof InvariantError)) throw error
        // What failed beside the question whether it holds: the store.
        if (error.cause !== undefined) of.report(error.cause)
        return once()
      }
    }
  }

  #recoverers({ fallback, cache, idempotent, retry }: OperationSettings): RecovererPolicy[] {
    const shared = this.#shared
    const { of } = shared
    const policies: RecovererPolicy[] = []
    if (fallback !== undefined)
      policies.push({ role: 'recoverer', kind: 'fallback', make: (host) => new Fallback(host, fallback) })
    if (cache !== undefined)
      policies.push({
        role: 'recoverer',
        kind: 'stale cache',
        make: (host) => {
          const olderVersion = (): void => {
            of.olderValue(host.operation)
          }
          return new StaleCache(host, cache, shared.store, olderVersion, shared.second)
        },
      })
    if (idempotent)
      policies.push({ role: 'recoverer', kind: 'retry', make: (host) => new Retry(host, of.retries, retry) })
    return policies
  }
}
