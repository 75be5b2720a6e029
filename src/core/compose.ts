import * as v from 'valibot'
import type { Attempt } from './attempt.js'
import { Background } from './background.js'
import type { Pipeline } from './call.js'
import { systemClock, type Clock } from './clock.js'
import { OptionError } from './errors.js'
import type { Guard, Recoverer } from './guard.js'
import { InFlight } from './in-flight.js'
import { clockSchema, duration, fn, group, parse, text } from './options.js'
import { placed, type GuardPolicy, type PolicyHost, type RecovererPolicy } from './policy.js'
import { stallWatch } from './stall.js'
import { Tally } from './tally.js'
import { Within } from './within.js'
import { wrapped, type Assembly, type Keeper, type Operation, type Wrapped } from './wrapped.js'

/** The standard order, outermost first. What isn't in it, a policy of one's own, may stand anywhere among its role. */
const RECOVERERS = ['fallback', 'stale cache', 'retry']
const GUARDS = ['circuit', 'rate', 'bulkhead', 'timeout', 'injection']

/** How long an asynchronous fallback may take when no deadline says less, ms. */
const PATIENCE = 3_000

export interface ComposeOptions {
  /** Shown in errors and used in cache keys. Default: the function's name. */
  name?: string
  /** For the whole call, ms. Default: none. */
  total?: number
  /** As a dependency's `circuit.isFailure`. */
  isFailure?: (result: { error?: unknown; value?: unknown }) => boolean
  clock?: Clock
  /** Told what a policy threw where nobody could be told. Default: a process warning. */
  onError?: (error: unknown) => void
}

const schema = group({
  name: v.optional(text),
  total: v.optional(duration),
  isFailure: v.optional(fn<NonNullable<ComposeOptions['isFailure']>>()),
  clock: v.optional(clockSchema),
  onError: v.optional(fn<(error: unknown) => void>()),
})

/**
 * Puts policies around operations by hand: recoverers first (outermost first), then guards.
 * `registry.dependency(…)` is the same in the standard order, with a circuit, and is what most should use.
 *
 * @throws OptionError (`ERR_OPTION`) for another order, or a policy given twice
 * @example
 * const load = compose([fallback({ value: [] })], [bulkhead({ slots: 10 }), timeout(500)])(fetchItems)
 */
export function compose(
  recoverers: readonly RecovererPolicy[],
  guards: readonly GuardPolicy[],
  options: ComposeOptions = {},
): <A extends unknown[], R>(operation: Operation<A, R>) => Wrapped<A, Awaited<R>> {
  checkOrder(recoverers, 'recoverer', RECOVERERS)
  checkOrder(guards, 'guard', GUARDS)
  const given = parse(schema, options, 'compose')
  const clock = given.clock ?? systemClock
  const report = (error: unknown): void => {
    try {
      if (given.onError === undefined) process.emitWarning(String(error), 'CofferdamWarning')
      else given.onError(error)
    } catch {
      // Reporting has failed too; there is nobody left to tell, and the call must still be settled.
    }
  }
  const { gate, inFlight } = guards.find((policy) => policy.gate !== undefined) ?? {}
  const bounded = guards.some(({ kind }) => kind === 'timeout')
  return <A extends unknown[], R>(operation: Operation<A, R>): Wrapped<A, Awaited<R>> => {
    if (typeof operation !== 'function') throw new OptionError('operation', 'must be a function')
    const name = given.name ?? (operation.name || 'operation')
    let background: Background | undefined
    const host: Omit<PolicyHost, 'index'> = {
      clock,
      stalls: stallWatch(clock),
      tally: new Tally(),
      dependency: name,
      operation: name,
      named: given.name !== undefined,
      report,
      trialDue: () => gate?.trialDue ?? false,
      retryAfter: () => gate?.retryAfter,
      available: () => gate?.mode !== 'unavailable',
      background: () => (background ??= new Background(clock)),
      // What is composed by hand is never closed.
      onClose: () => undefined,
    }
    const assembly = assemble(
      {
        operation: operation as unknown as Operation<never[], unknown>,
        checked: false,
        total: undefined,
        patience: undefined,
        inFlight: inFlight ?? new InFlight<Attempt>(),
        counts: true,
        detached: 'never',
        label: undefined,
        life: {
          closed: undefined,
          bypassed: false,
          total: given.total ?? Infinity,
          patience: PATIENCE,
          isFailure: given.isFailure,
          injection: undefined,
        },
        watch: { ended: undefined },
      },
      host,
      recoverers,
      [...guards.map((policy) => policy.make(placed(host, -1))), ...(bounded ? [] : [new Within(clock)])],
    )
    return wrapped<A, Awaited<R>>(assembly)
  }
}

type Own = Pick<
  Pipeline,
  'checked' | 'total' | 'patience' | 'inFlight' | 'counts' | 'detached' | 'label' | 'life' | 'watch'
> & {
  operation: Operation<never[], unknown>
}

/** Makes the recoverers of one operation, and puts all its parts together. */
export function assemble(
  own: Own,
  host: Omit<PolicyHost, 'index'>,
  policies: readonly RecovererPolicy[],
  guards: readonly Guard[],
): Assembly {
  const recoverers = policies.map((policy, index) => policy.make(placed(host, index)))
  const answering = recoverers.filter((recoverer) => recoverer.answer !== undefined) as Pipeline['answering']
  // All in one literal, as in `placed`.
  const pipeline: Pipeline = {
    dependency: host.dependency,
    name: host.operation,
    operation: own.operation,
    checked: own.checked,
    total: own.total,
    patience: own.patience,
    inFlight: own.inFlight,
    counts: own.counts,
    detached: own.detached,
    label: own.label,
    life: own.life,
    watch: own.watch,
    clock: host.clock,
    stalls: host.stalls,
    report: host.report,
    recoverers,
    live: recoverers.every(({ live }) => live !== false),
    answering,
    peek: own.detached === 'never' ? answering[0]?.peek : undefined,
    keeping: recoverers.filter((recoverer) => recoverer.settle !== undefined) as Pipeline['keeping'],
    guards,
  }
  return { name: host.operation, pipeline, keeper: recoverers.find(isKeeper) }
}

const isKeeper = (recoverer: Recoverer): recoverer is Recoverer & Keeper => 'cache' in recoverer

function checkOrder(policies: readonly unknown[], role: 'guard' | 'recoverer', order: readonly string[]): void {
  const path = `${role}s`
  if (!Array.isArray(policies)) throw new OptionError(path, 'must be an array: recoverers first, then guards')
  let place = -1
  const seen = new Set<string>()
  for (const policy of policies as (Partial<GuardPolicy | RecovererPolicy> | null | undefined)[]) {
    const kind = policy?.kind ?? 'something else'
    if (policy?.role !== role)
      throw new OptionError(path, `${kind} is not a ${role}; recoverers come first, then guards`)
    const here = order.indexOf(kind)
    if (here === -1) continue
    if (seen.has(kind)) throw new OptionError(path, `${kind} is given twice`)
    if (here < place) throw new OptionError(path, `${kind} comes too late; the order is ${order.join(', ')}`)
    seen.add(kind)
    place = here
  }
}
