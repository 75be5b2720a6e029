import * as v from 'valibot'
import { OptionError } from '../../core/errors.js'
import { age, count, duration, flag, fn, group } from '../../core/options.js'
import type { Scope } from './key.js'
import type { KeyvLike } from './second-store.js'
import type { Version } from './version.js'

export const staleEntries = {
  max: v.optional(count),
  maxBytes: v.optional(count),
  sizeOf: v.optional(fn<(value: unknown) => number>()),
  freshFor: v.optional(age),
  staleFor: v.optional(age),
  store: v.optional(v.custom<KeyvLike>(isStore, 'must be a Keyv, or have its get, set and delete')),
  softTimeout: v.optional(duration),
}

/** What a dependency's operations have in common: one store, and defaults. */
export interface StaleOptions {
  /** Values kept at most, of all the dependency's operations together; the least recently used goes first. Default 1,000. */
  max?: number
  /** Bytes kept at most, keys included. Needs `sizeOf` unless values are strings or Buffers. Default: not counted. */
  maxBytes?: number
  /** The size of a value in bytes, for `maxBytes`. */
  sizeOf?: (value: unknown) => number
  /** How long a value is fresh, ms: served without a call. Default 0: every call goes live. */
  freshFor?: number
  /** How long a value may be served when a live one can't be had, ms from the start of the call that produced it. Default 3,600,000. */
  staleFor?: number
  /**
   * A second level, which processes share and which outlives them: any Keyv (5 or 6). Default: none. Operations that are
   * cached need a `name` then. Values must survive its serializer; Keyv's own takes what JSON takes, and Buffers.
   */
  store?: KeyvLike
  /**
   * A caller who has waited so long, ms, is served the stale value if there is one; the call goes on behind. Less than
   * `timeout`. Default: none.
   */
  softTimeout?: number
}

export const cacheEntries = {
  key: v.optional(fn<(...args: never[]) => string | undefined>()),
  scope: v.optional(
    v.custom<'public' | ((...args: never[]) => string)>(
      (scope) => scope === 'public' || typeof scope === 'function',
      `must be 'public' or a function that says whose data it is`,
    ),
  ),
  freshFor: staleEntries.freshFor,
  staleFor: staleEntries.staleFor,
  softTimeout: staleEntries.softTimeout,
  live: v.optional(flag),
  coalesce: v.optional(flag),
  version: v.optional(fn<(value: never) => Version | undefined>()),
  cacheIf: v.optional(fn<(value: never, ...args: never[]) => boolean>()),
  evictOn: v.optional(fn<(error: unknown) => boolean>()),
  freeze: v.optional(flag),
  storePrivate: v.optional(flag),
}

type Given = v.InferOutput<ReturnType<typeof group<typeof cacheEntries>>>

/**
 * What may be cached of one operation, and for whom.
 *
 * Functions are written as methods, here and in `Scope` and `Alternative`: the compiler looks at options before it knows
 * the operation's arguments, and would refuse a function that was declared elsewhere.
 */
export interface CacheOptions<A extends unknown[], R> {
  /** Caches this operation: the key of a call, from its arguments; undefined = not this call. Over 256 characters it is hashed. */
  key?(...args: A): string | undefined
  /** Required with `key`: whose data a value is. An empty string = not this call. */
  scope?: Scope<A>
  /** In place of the dependency's, ms. */
  freshFor?: number
  /** In place of the dependency's, ms. */
  staleFor?: number
  /** In place of the dependency's, ms. */
  softTimeout?: number
  /** `false`: callers only ever read what a refresher has put there; none of them calls the dependency. Default true. */
  live?: boolean
  /** Callers of the same key share one call. Default: when `freshFor` is more than 0. */
  coalesce?: boolean
  /** Grows with the value at its source; a lower one never replaces a higher (a server restored from an old dump). */
  version?(value: R): Version | undefined
  /** Whether a result may be kept. Default: every success; `null` and `undefined` count. */
  cacheIf?(value: R, ...args: A): boolean
  /** Errors that say the thing is gone: the cached value is deleted. Default: `status` or `statusCode` 404 or 410. */
  evictOn?: (error: unknown) => boolean
  /** Freezes kept values deeply; they are shared, so nobody may change them anyway. Default false. */
  freeze?: boolean
  /** Values of a `scope` that isn't public may go into the second-level store too. Default false: they stay in this process. */
  storePrivate?: boolean
}

export interface CacheSettings {
  key: (...args: never[]) => string | undefined
  scope: 'public' | ((...args: never[]) => string)
  freshFor: number
  staleFor: number
  softTimeout: number | undefined
  live: boolean
  coalesce: boolean
  version: ((value: never) => Version | undefined) | undefined
  cacheIf: ((value: never, ...args: never[]) => boolean) | undefined
  evictOn: (error: unknown) => boolean
  freeze: boolean
  storePrivate: boolean
}

/** What a dependency says for all its operations. */
export interface CacheDefaults {
  freshFor?: number | undefined
  staleFor?: number | undefined
  softTimeout?: number | undefined
}

/** Undefined when the operation isn't cached. */
export function cacheSettings(given: Given, defaults: CacheDefaults, path: string): CacheSettings | undefined {
  if (given.key === undefined) {
    const stray = Object.keys(cacheEntries).find((name) => given[name as keyof typeof given] !== undefined)
    if (stray !== undefined) throw new OptionError(join(path, stray), 'needs key, or nothing is cached')
    return undefined
  }
  if (given.scope === undefined)
    throw new OptionError(
      join(path, 'scope'),
      `is required with key: 'public', or a function that says whose data it is`,
    )
  const { live = true } = given
  for (const name of ['softTimeout', 'coalesce'] as const)
    if (!live && given[name] !== undefined)
      throw new OptionError(join(path, name), 'is of no use with live: false: no caller waits for a call')
  const lifetime = lifetimes({ ...defaults, ...defined(given) }, given, path)
  return {
    key: given.key,
    scope: given.scope,
    ...lifetime,
    softTimeout: live ? (given.softTimeout ?? defaults.softTimeout) : undefined,
    live,
    coalesce: given.coalesce ?? lifetime.freshFor > 0,
    version: given.version,
    cacheIf: given.cacheIf,
    evictOn: given.evictOn ?? isGone,
    freeze: given.freeze ?? false,
    storePrivate: given.storePrivate ?? false,
  }
}

/** Given together, they must agree. */
export function checkSoftTimeout(softTimeout: number | undefined, timeout: number | undefined, path: string): void {
  if (softTimeout !== undefined && timeout !== undefined && softTimeout >= timeout)
    throw new OptionError(join(path, 'softTimeout'), `${softTimeout} is not less than timeout, ${timeout}`)
}

/** `given` are those written down together: they must agree; the others give way. */
export function lifetimes(
  all: { freshFor?: number | undefined; staleFor?: number | undefined },
  given: { freshFor?: number | undefined; staleFor?: number | undefined },
  path: string,
): { freshFor: number; staleFor: number } {
  if (given.freshFor !== undefined && given.staleFor !== undefined && given.staleFor < given.freshFor)
    throw new OptionError(join(path, 'staleFor'), `${given.staleFor} is less than freshFor, ${given.freshFor}`)
  let { freshFor = 0, staleFor = 3_600_000 } = all
  if (staleFor < freshFor) {
    if (given.staleFor === undefined) staleFor = freshFor
    else freshFor = staleFor
  }
  return { freshFor, staleFor }
}

function defined(given: { freshFor?: number | undefined; staleFor?: number | undefined }): object {
  return {
    ...(given.freshFor === undefined ? {} : { freshFor: given.freshFor }),
    ...(given.staleFor === undefined ? {} : { staleFor: given.staleFor }),
  }
}

function isStore(given: unknown): boolean {
  if (typeof given !== 'object' || given === null) return false
  const { get, set, delete: del } = given as Partial<KeyvLike>
  return [get, set, del].every((method) => typeof method === 'function')
}

function isGone(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { status, statusCode } = error as { status?: unknown; statusCode?: unknown }
  const code = status ?? statusCode
  return code === 404 || code === 410
}

const join = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)
