import * as v from 'valibot'
import { OptionError } from './core/errors.js'
import { count, countOrZero, duration, flag, group, named, parse } from './core/options.js'
import type { Share } from './core/slots.js'
import { withDefaults } from './dependency-defaults.js'
import { circuitSchema, circuitSettings, type CircuitOptions, type CircuitSettings } from './health/circuit-options.js'
import { lifetimes, staleEntries, type StaleOptions } from './policies/cache/cache-options.js'
import type { StoreOptions } from './policies/cache/store.js'
import type { BulkheadSettings } from './policies/bulkhead.js'
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

const schema = group({
  timeout: v.optional(duration),
  total: v.optional(duration),
  bulkhead: v.optional(bulkheadSchema),
  circuit: v.optional(circuitSchema),
  stale: v.optional(group(staleEntries)),
  enforce: v.optional(flag),
  required: v.optional(flag),
})

/** @internal Options that have been checked one by one, not yet against each other. */
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
  /** Defaults and limits for the operations that are cached; they share one store. */
  stale?: StaleOptions
  /** `false`: the circuit is watched and reported (`wouldBe`), not obeyed. Default true. */
  enforce?: boolean
  /** Readiness is red while it is unavailable. Default false. */
  required?: boolean
}

/** @internal The same, complete. */
export interface DependencySettings {
  timeout: number
  total: number
  bulkhead: BulkheadSettings & {
    slots: number
    pool: Pool | undefined
    share: Share
    classes: ReadonlyMap<string, Share & { timeout?: number | undefined }>
  }
  circuit: CircuitSettings
  stale: StoreOptions & { freshFor: number; staleFor: number }
  enforce: boolean
  required: boolean
}

/** @internal `defaults` are the registry's, already checked. */
export function dependencySettings(input: unknown, defaults: DependencyOptions = {}): DependencySettings {
  // Checked by themselves first, so that a bad value is never hidden by merging.
  return complete(withDefaults(defaults, parse(schema, input)), '')
}

/** @internal */
export function parseDefaults(input: unknown): DependencyOptions {
  const defaults = parse(schema, input, 'defaults')
  complete(defaults, 'defaults.')
  return defaults as DependencyOptions
}

/** Fills in what is left, clamped to what was given; what contradicts itself throws. */
function complete(given: GivenOptions, root: '' | 'defaults.'): DependencySettings {
  const { total = Infinity } = given
  const timeout = given.timeout ?? Math.min(3_000, total)
  if (total < timeout) throw new OptionError(`${root}total`, `${total} is less than timeout, ${timeout}`)
  const { max = 1_000, maxBytes, sizeOf, ...stale } = given.stale ?? {}
  return {
    timeout,
    total,
    bulkhead: bulkheadSettings(given.bulkhead ?? {}, timeout, `${root}bulkhead`),
    circuit: circuitSettings(given.circuit ?? {}, `${root}circuit`, timeout),
    stale: { max, maxBytes, sizeOf, ...lifetimes(stale, stale, `${root}stale`) },
    enforce: given.enforce ?? true,
    required: given.required ?? false,
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
