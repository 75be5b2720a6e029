import * as v from 'valibot'
import { duration, fn, parse, text } from '../core/options.js'
import type { Comparable } from '../core/comparable.js'
import { storeSchema, type InvariantStore } from './invariant-store.js'

/** Reads what is to be watched. The signal aborts when its time is over or nobody waits for it any more. */
export type Read<T> = (context: { readonly signal: AbortSignal }) => T | PromiseLike<T>

export interface InvariantOptions {
  /** Time between two polls, ms. Default 60,000. */
  every?: number
  /** For each reading, and for each access to the store, ms. Default 1,000. */
  timeout?: number
}

export interface RememberingOptions extends InvariantOptions {
  /** Keeps the last good value across restarts and, if they share it, between processes. Default: memory only. */
  store?: InvariantStore
}

export interface InBandOptions<R> {
  /** Picks the value out of an operation's result, where the invariant is one of an operation. */
  of?: (result: R) => unknown
}

interface Definition<Kind extends string> {
  readonly kind: Kind
  readonly name: string
  readonly every: number
  readonly timeout: number
}

export interface Monotonic<R = never> extends Definition<'monotonic'> {
  readonly read: Read<Comparable> | undefined
  readonly store: InvariantStore | undefined
  readonly of: ((result: R) => unknown) | undefined
}

export interface Identity<R = never> extends Definition<'identity'> {
  readonly read: Read<string | number | bigint>
  readonly store: InvariantStore | undefined
  readonly of: ((result: R) => unknown) | undefined
}

export interface Drift extends Definition<'drift'> {
  readonly a: Read<Comparable>
  readonly b: Read<Comparable>
  readonly atMost: number
}

export interface Check extends Definition<'check'> {
  readonly check: Read<boolean>
}

/** What can check an operation's results before its callers see them. */
export type InBandInvariant<R> = Monotonic<R> | Identity<R>

/** Something that must hold for a dependency's data, not for its reachability. Made by `monotonic`, `drift`, `identity` and `invariant`. */
export type Invariant = InBandInvariant<never> | Drift | Check

/** Definitions from another copy of the package are known as well. */
const BRAND = Symbol.for('cofferdam.invariant')

/** Options of all kinds. */
export const polling = { every: v.optional(duration), timeout: v.optional(duration) }

/** Options of those that remember. */
export const remembering = {
  ...polling,
  store: v.optional(storeSchema),
  of: v.optional(fn<(result: never) => unknown>()),
}

/** It ends the key under which the store knows it, after the dependency's name and a slash. */
const nameSchema = v.pipe(
  text,
  v.check((name) => !name.includes('/'), 'must not contain a slash'),
)

/** Checks what all have in common. */
export function define<const Kind extends string, Given extends object>(
  kind: Kind,
  path: string,
  name: unknown,
  given: Given & { every?: number | undefined; timeout?: number | undefined },
) {
  const definition = {
    ...given,
    kind,
    name: parse(nameSchema, name, `${path}.name`),
    every: given.every ?? 60_000,
    timeout: given.timeout ?? 1_000,
  }
  Object.defineProperty(definition, BRAND, { value: true })
  return Object.freeze(definition)
}

const isInvariant = (given: unknown): given is Invariant =>
  typeof given === 'object' && given !== null && Object.hasOwn(given, BRAND)

/** One that a dependency can poll. */
export const polledSchema = v.custom<Invariant>(
  (given) => isInvariant(given) && !(given.kind === 'monotonic' && given.read === undefined),
  'must be made by monotonic, drift, identity or invariant, with a function that reads',
)

/** One that can check an operation's results. */
export const inBandSchema = v.custom<InBandInvariant<never>>(
  (given) =>
    isInvariant(given) && (given.kind === 'monotonic' || (given.kind === 'identity' && given.of !== undefined)),
  'must be made by monotonic, or by identity with `of`',
)
