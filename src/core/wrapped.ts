import * as v from 'valibot'
import { begin, peek } from './runner.js'
import { beginDetached } from './detached.js'
import { OptionError } from './errors.js'
import type { Percentiles } from './histogram.js'
import { Call, type CallContext, type CallOptions, type CallOutcome, type Pipeline } from './call.js'
import { CACHES, DUMP_FORMAT, type CacheDump, type Caches, type DumpOptions, type LoadCounts } from './dump.js'
import { duration, group, parse, text } from './options.js'

/** Marks wrapped operations. */
export const WRAPPED = Symbol.for('cofferdam.wrapped')

/** What is kept of an operation's answers. Does nothing for one that isn't cached. */
export interface OperationCache<A extends unknown[]> {
  /** For good: a call in flight doesn't bring the value back. @returns whether there was one */
  delete(...args: A): boolean
  /** What is fresh becomes stale. @returns whether there was a value */
  expire(...args: A): boolean
  /** All values of this operation, for good. */
  clear(): void
  /** What the cache has done so far, by reason. */
  counts(): Readonly<Record<string, number>>
  /**
   * What it holds, as a plain object that JSON can carry, for another process or a later one. Takes time in proportion;
   * `cacheFile` does it in slices.
   * @throws OptionError (`ERR_OPTION`)
   */
  dump(options?: DumpOptions): CacheDump
  /**
   * Takes in what a dump has, as far as it is in time, and nothing newer is known here. Ages count on from the start of
   * the call that produced the value.
   * @throws CacheDumpError (`ERR_CACHE_DUMP`) when it isn't a dump of this operation; nothing has changed then
   */
  load(dump: unknown): LoadCounts
  /** @internal Undefined for one that isn't cached. */
  readonly [CACHES]?: Caches
  /** How old the values were that it has served, with an error of at most 3.2 %; undefined before the first. */
  ages(): ServedAges | undefined
}

/** How old values were when they were served, ms. */
export interface ServedAges extends Percentiles {
  max: number
}

/** How a value is kept warm. */
export interface RefreshOptions {
  /** Ms from the start of one refresh to the start of the next, give or take a tenth. */
  every: number
  /** For each, ms; at most `every`. Default: the operation's. */
  timeout?: number
}

/** A value that is kept warm. */
export interface Refresh {
  /** Keeps it warm no more, unless somebody else does. Harmless when repeated. */
  stop(): void
}

/** A recoverer that keeps values: the operation's cache, and who keeps them warm. */
export interface Keeper {
  readonly cache: OperationCache<never>
  refresh(pipeline: Pipeline, args: readonly unknown[], options: RefreshOptions): Refresh
}

/** An operation, called the same way as the function that it wraps, less the context. */
export interface Caller<A extends unknown[], R> {
  /**
   * @throws UnavailableError, BulkheadFullError, QueueTimeoutError, CallTimeoutError, DeadlineError, ClosedError when
   * there is nothing to serve instead; the signal's reason after the caller's abort; and whatever the operation throws
   */
  (...args: A): Promise<R>
  /** The same with the answer's story: where it came from and how old it is. */
  outcome(...args: A): Promise<CallOutcome<R>>
}

/** A guarded operation. */
export interface Wrapped<A extends unknown[], R> extends Caller<A, R> {
  /**
   * The same operation with options for a call.
   * @throws OptionError (`ERR_OPTION`)
   */
  with(options: CallOptions): Caller<A, R>
  readonly cache: OperationCache<A>
  /**
   * Keeps the value of these arguments warm in the background, until stopped or until the dependency is closed. It
   * waits while the dependency is unavailable, but for the trial; it never takes the last slot, so that with a single
   * one nothing is refreshed. Where a key is kept warm twice the shorter `every` holds.
   *
   * @throws OptionError (`ERR_OPTION`), also when these arguments are not cached; ClosedError (`ERR_CLOSED`)
   * @example
   * const warm = loadFeed.refresh(['art'], { every: 60_000, timeout: 10_000 })
   * warm.stop()
   */
  refresh(args: A, options: RefreshOptions): Refresh
  /** The name that it goes by in keys, events and errors. */
  readonly operation: string
}

/** The function that is wrapped: the context first, then the caller's arguments. A value, a promise, a thenable or a throw are all one. */
export type Operation<A extends unknown[], R> = (context: CallContext, ...args: A) => R

const signal = v.custom<AbortSignal>((given) => given instanceof AbortSignal, 'must be an AbortSignal')
const instant = v.pipe(
  v.custom<number | Date>(
    (given) => (typeof given === 'number' || given instanceof Date) && Number.isFinite(Number(given)),
    'must be a Date, or milliseconds since the epoch',
  ),
  // A copy: a Date can be set anew.
  v.transform(Number),
)

export const callEntries = {
  timeout: v.optional(duration),
  total: v.optional(duration),
  deadline: v.optional(instant),
  signal: v.optional(signal),
  class: v.optional(text),
  label: v.optional(text),
}

const callSchema = group(callEntries)

const refreshSchema = group({ every: duration, timeout: v.optional(duration) })

const NO_CACHE: OperationCache<unknown[]> = {
  delete: () => false,
  expire: () => false,
  clear: () => undefined,
  counts: () => ({}),
  dump: () => ({
    format: DUMP_FORMAT,
    dependency: '',
    operation: '',
    scope: 'public',
    at: 0,
    entries: [],
    deleted: [],
    skipped: 0,
    withheld: 0,
  }),
  load: () => ({ loaded: 0, expired: 0, older: 0, future: 0, malformed: 0, full: 0 }),
  ages: () => undefined,
}

/** What stands behind a wrapped operation; put together when a part of it is first looked at. */
export interface Assembly {
  readonly name: string
  readonly pipeline: Pipeline
  readonly keeper: Keeper | undefined
}

const ASSEMBLY = Symbol('assembly')

/** Makes the function that people call. */
export function wrapped<A extends unknown[], R>(assembly: Assembly): Wrapped<A, R> {
  const plain = Object.defineProperty(caller(assembly, undefined), ASSEMBLY, { value: assembly })
  return Object.defineProperty(plain, 'cache', CACHE) as unknown as Wrapped<A, R>
}

/** Found when it is looked at; like the others it can be replaced, for a test. */
const CACHE = {
  enumerable: true,
  configurable: true,
  get(this: { readonly [ASSEMBLY]: Assembly }): OperationCache<never> {
    return this[ASSEMBLY].keeper?.cache ?? NO_CACHE
  },
  set(this: object, value: unknown): void {
    Object.defineProperty(this, 'cache', { value, writable: true, enumerable: true, configurable: true })
  },
}

function refresh({ pipeline, keeper }: Assembly, args: unknown[], options: RefreshOptions): Refresh {
  const given = parse(refreshSchema, options, 'refresh') as RefreshOptions
  const { every, timeout } = given
  if (timeout !== undefined && timeout > every)
    throw new OptionError('refresh.timeout', `${timeout} is more than every, ${every}`)
  if (!Array.isArray(args)) throw new OptionError('refresh.args', 'must be an array of arguments')
  if (keeper === undefined) throw new OptionError('refresh', 'needs key: nothing is kept of this operation')
  if (pipeline.life.closed !== undefined) throw pipeline.life.closed
  return keeper.refresh(pipeline, [...args], given)
}

/** All that it gives out stands in one scope, so that an operation that waits to be called has one record of it. */
function caller(assembly: Assembly, options: CallOptions | undefined) {
  const plain = (...args: unknown[]): Promise<unknown> => {
    const { pipeline } = assembly
    const kept = options === undefined && pipeline.peek !== undefined ? peek(pipeline, args) : undefined
    return kept ?? start(new Call(pipeline, args, options))
  }
  const outcome = async (...args: unknown[]): Promise<CallOutcome<unknown>> => {
    const call = new Call(assembly.pipeline, args, options)
    await start(call)
    return call.outcome()
  }
  if (options !== undefined) return Object.assign(plain, { outcome })
  return Object.assign(plain, {
    [WRAPPED]: true,
    outcome,
    with: (given: CallOptions) => caller(assembly, parse(callSchema, given, 'with') as CallOptions),
    refresh: (args: unknown[], given: RefreshOptions) => refresh(assembly, args, given),
    operation: assembly.name,
  })
}

function start(call: Call): Promise<unknown> {
  return call.pipeline.detached === 'never' ? begin(call) : beginDetached(call)
}
