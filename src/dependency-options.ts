import * as v from 'valibot'
import { OptionError } from './core/errors.js'
import { LONGEST_TIMER } from './core/clock.js'
import { count, countOrZero, duration, flag, group, named, orFalse, parse, text } from './core/options.js'
import type { Share } from './core/slots.js'
import { withDefaults } from './dependency-defaults.js'
import { circuitSchema, circuitSettings, type CircuitOptions, type CircuitSettings } from './health/circuit-options.js'
import { polledSchema, type Invariant } from './health/invariant-definition.js'
import {
  probeChangesSchema,
  probeSchema,
  probeSettings,
  type ProbeOptions,
  type ProbeSettings,
} from './health/probe.js'
import { checkSoftTimeout, lifetimes, staleEntries, type StaleOptions } from './policies/cache/cache-options.js'
import type { KeyvLike } from './policies/cache/second-store.js'
import type { StoreOptions } from './policies/cache/store.js'
import type { BulkheadSettings } from './policies/bulkhead.js'
import { rateSchema, rateSettings, type RateOptions } from './policies/rate.js'
import type { RateSettings } from './policies/rate/limiter.js'
import { retrySchema, retrySettings, type RetryOptions, type RetrySettings } from './policies/retry/retry-options.js'
import { poolSchema, type Pool } from './pool.js'

const classSchema = group({
  guaranteed: v.optional(countOrZero),
  atMost: v.optional(count),
  timeout: v.optional(duration),
})

const bulkheadSchema = group({
  slots: v.optional(count),
  queue: v.optional(countOrZero),
  maxWait: v.optional(duration),
  classes: v.optional(named(classSchema, 'classes')),
  pool: v.optional(poolSchema),
  guaranteed: v.optional(countOrZero),
  atMost: v.optional(count),
  reclaimAfter: v.optional(duration),
})

const entries = {
  timeout: v.optional(duration),
  total: v.optional(duration),
  bulkhead: v.optional(bulkheadSchema),
  circuit: v.optional(circuitSchema),
  rate: v.optional(orFalse(rateSchema)),
  retry: v.optional(orFalse(retrySchema)),
  stale: v.optional(group(staleEntries)),
  enforce: v.optional(flag),
  required: v.optional(flag),
  probe: v.optional(probeSchema),
  invariants: v.optional(v.array(polledSchema, 'must be an array of invariants')),
  dependsOn: v.optional(v.array(text, 'must be an array of names')),
  tags: v.optional(v.array(text, 'must be an array of names')),
  longCall: v.optional(duration),
}

const schema = group(entries)
/** What may be said at run time: of a probe that runs already, a part will do. */
const changesSchema = group({ ...entries, probe: v.optional(probeChangesSchema) })

/** What only one dependency can be given, never all of them. */
const ITS_OWN = ['probe', 'invariants', 'dependsOn'] as const

/** Options that have been checked one by one, not yet against each other. */
export type GivenOptions = v.InferOutput<typeof schema>

/** One class's share of a bulkhead. */
export interface ClassOptions {
  /** Slots kept for it. Default: a safe share of what is not guaranteed to others. */
  guaranteed?: number
  /** The most it may hold. Default: all. */
  atMost?: number
  /** The timeout of its calls, where the operation names none, ms. */
  timeout?: number
}

/** How much work at once. */
export interface BulkheadOptions {
  /** Calls at once. Default 50. */
  slots?: number
  /** Waiters beyond the slots, per class. Default 50. */
  queue?: number
  /** How long one may wait for a slot, ms. Default 500. */
  maxWait?: number
  /** Shares of classes of callers; other callers use what isn't guaranteed. */
  classes?: Record<string, ClassOptions>
  /** In place of `slots`: a share of a pool made with `createPool`. */
  pool?: Pool
  /** With `pool`: slots kept for this dependency. Default: a safe share. */
  guaranteed?: number
  /** With `pool`: the most it may hold. Default: all. */
  atMost?: number
  /** How long work that its caller has given up keeps its slot, ms. Default 10 × `timeout`. */
  reclaimAfter?: number
}

/** How one dependency is guarded. Everything has a default. */
export interface DependencyOptions {
  /** For each attempt, ms from the start of its operation. Default 3,000. */
  timeout?: number
  /** For the whole call, ms: waiting and fallback included. Default: none. */
  total?: number
  bulkhead?: BulkheadOptions
  circuit?: CircuitOptions
  /** A cap on calls a second. Default: none. */
  rate?: RateOptions | false
  /** Another attempt after a failure, for operations that may run twice. Default: none. */
  retry?: RetryOptions | false
  /** Defaults and limits for the operations that are cached; they share one store. */
  stale?: StaleOptions
  /** `false`: the circuit is watched and reported (`wouldBe`), not obeyed. Default true. */
  enforce?: boolean
  /** Readiness is red while it is unavailable. Default false. */
  required?: boolean
  /** A synthetic check, for when there is no traffic to tell; it also does the trials while it is unavailable. */
  probe?: ProbeOptions
  /** What must hold of its data: a violation makes it unavailable until an operator acknowledges it. */
  invariants?: readonly Invariant[]
  /** Names of others without which it is unavailable too; they may be registered later. */
  dependsOn?: readonly string[]
  /** One switch for many: `registry.setMode({ tag: 'writes' }, …)`. */
  tags?: readonly string[]
  /** Calls in flight for longer are told of (`longCall`), ms. Default 2 × `timeout`. */
  longCall?: number
}

/** What can change at run time, and of a group only what is named. */
export interface DependencyChanges extends Omit<DependencyOptions, 'probe' | 'stale' | 'invariants'> {
  /** `run` may be left out where there is a probe already. */
  probe?: Partial<ProbeOptions>
}

/** The same, complete. */
export interface DependencySettings {
  /** What was said, before defaults. */
  given: GivenOptions
  timeout: number
  total: number
  bulkhead: BulkheadSettings & {
    slots: number
    pool: Pool | undefined
    share: Share
    classes: ReadonlyMap<string, Share & { timeout?: number | undefined }>
  }
  circuit: CircuitSettings
  rate: RateSettings | undefined
  retry: RetrySettings
  stale: StoreOptions & {
    freshFor: number
    staleFor: number
    softTimeout: number | undefined
    store: KeyvLike | undefined
  }
  enforce: boolean
  required: boolean
  probe: ProbeSettings | undefined
  invariants: readonly Invariant[]
  dependsOn: readonly string[]
  tags: readonly string[]
  longCall: number
}

/** `defaults` are the registry's, already checked. */
export function dependencySettings(input: unknown, defaults: DependencyOptions = {}): DependencySettings {
  // Checked by themselves first, so that a bad value is never hidden by merging.
  const given = parse(schema, input)
  checkSoftTimeout(given.stale?.softTimeout, given.timeout, 'stale')
  return settingsOf(given, defaults)
}

/** What has been checked, completed. */
export function settingsOf(given: GivenOptions, defaults: DependencyOptions): DependencySettings {
  return { ...complete(withDefaults(defaults as GivenOptions, given), ''), given }
}

/**
 * Settings with others in place of those that are named, at every nesting.
 * @throws OptionError (`ERR_OPTION`), also for what is fixed when a dependency is made
 */
export function reconfigured(
  before: DependencySettings,
  input: unknown,
  defaults: DependencyOptions,
): DependencySettings {
  const changes = parse(changesSchema, input)
  const fixed = (path: string): OptionError => new OptionError(path, 'is fixed when the dependency is made')
  for (const name of ['stale', 'invariants'] as const) if (changes[name] !== undefined) throw fixed(name)
  const { classes } = before.bulkhead
  for (const name of Object.keys(changes.bulkhead?.classes ?? {}))
    if (!classes.has(name)) throw fixed(`bulkhead.classes.${name}`)
  // Those of the registry's defaults too: a dependency that names any has them in place of all of these.
  const named =
    classes.size === 0 ? {} : { bulkhead: { ...before.given.bulkhead, classes: Object.fromEntries(classes) } }
  // `stale` can't be changed, so a timeout may go below its softTimeout, which gives way.
  const after = settingsOf(parse(schema, merged({ ...before.given, ...named }, changes, '')), defaults)
  if (after.bulkhead.pool !== before.bulkhead.pool) throw fixed('bulkhead.pool')
  return after
}

/** Objects that are one value. */
const WHOLE = ['circuit.window', 'circuit.slowCall', 'bulkhead.pool']

/** What is given as undefined isn't given. */
function merged(before: object, changes: object, root: string): object {
  const all = { ...before } as Record<string, unknown>
  for (const [name, change] of Object.entries(changes) as [string, unknown][]) {
    if (change === undefined) continue
    const held = all[name]
    const path = root + name
    const parts = typeof held === 'object' && typeof change === 'object' && !Array.isArray(held)
    all[name] = parts && !WHOLE.includes(path) ? merged(held!, change!, `${path}.`) : change
  }
  return all
}

export function parseDefaults(input: unknown): DependencyOptions {
  const defaults = parse(schema, input, 'defaults')
  for (const name of ITS_OWN)
    if (defaults[name] !== undefined) throw new OptionError(`defaults.${name}`, 'belongs to one dependency')
  checkSoftTimeout(defaults.stale?.softTimeout, defaults.timeout, 'defaults.stale')
  complete(defaults, 'defaults.')
  return defaults as DependencyOptions
}

/** Fills in what is left, clamped to what was given; what contradicts itself throws. */
function complete(given: GivenOptions, root: '' | 'defaults.'): Omit<DependencySettings, 'given'> {
  const { total = Infinity } = given
  const timeout = given.timeout ?? Math.min(3_000, total)
  if (total < timeout) throw new OptionError(`${root}total`, `${total} is less than timeout, ${timeout}`)
  const { max = 1_000, maxBytes, sizeOf, store, softTimeout, ...stale } = given.stale ?? {}
  return {
    timeout,
    total,
    bulkhead: bulkheadSettings(given.bulkhead ?? {}, timeout, `${root}bulkhead`),
    circuit: circuitSettings(given.circuit ?? {}, `${root}circuit`, timeout),
    rate: rateSettings(given.rate, `${root}rate`),
    retry: retrySettings(given.retry, `${root}retry`),
    stale: {
      max,
      maxBytes,
      sizeOf,
      store,
      softTimeout: softTimeout === undefined ? undefined : Math.min(softTimeout, timeout),
      ...lifetimes(stale, stale, `${root}stale`),
    },
    enforce: given.enforce ?? true,
    required: given.required ?? false,
    probe: given.probe === undefined ? undefined : probeSettings(given.probe, `${root}probe`),
    invariants: distinct(given.invariants ?? [], `${root}invariants`),
    dependsOn: [...new Set(given.dependsOn)],
    tags: [...new Set(given.tags)],
    longCall: given.longCall ?? Math.min(2 * timeout, LONGEST_TIMER),
  }
}

function bulkheadSettings(
  given: v.InferOutput<typeof bulkheadSchema>,
  timeout: number,
  path: string,
): DependencySettings['bulkhead'] {
  const { pool, guaranteed, atMost } = given
  if (pool !== undefined && given.slots !== undefined)
    throw new OptionError(`${path}.slots`, 'is the pool’s to say; give guaranteed and atMost')
  if (pool === undefined)
    for (const name of ['guaranteed', 'atMost'] as const)
      if (given[name] !== undefined)
        throw new OptionError(`${path}.${name}`, 'needs pool; a dependency of its own has slots')
  checkShare({ guaranteed, atMost }, path)
  const classes = new Map(Object.entries(given.classes ?? {}))
  const slots = pool?.slots.capacity ?? given.slots ?? 50
  let sum = 0
  for (const [name, share] of classes) {
    checkShare(share, `${path}.classes.${name}`)
    sum += share.guaranteed ?? 0
  }
  if (sum > slots) throw new OptionError(`${path}.classes`, `guarantees of ${sum} in all exceed the ${slots} slots`)
  return {
    slots,
    pool,
    share: { guaranteed, atMost },
    classes,
    queue: given.queue ?? 50,
    maxWait: given.maxWait ?? 500,
    reclaimAfter: given.reclaimAfter ?? Math.min(10 * timeout, 2 ** 31 - 1),
  }
}

function checkShare({ guaranteed, atMost }: Share, path: string): void {
  if (guaranteed !== undefined && atMost !== undefined && guaranteed > atMost)
    throw new OptionError(`${path}.guaranteed`, `${guaranteed} is more than atMost, ${atMost}`)
}

/** Each is told of by its name. */
function distinct(invariants: readonly Invariant[], path: string): readonly Invariant[] {
  const names = new Set<string>()
  for (const { name } of invariants) {
    if (names.has(name)) throw new OptionError(path, `two are called "${name}"`)
    names.add(name)
  }
  return invariants
}
