import * as v from 'valibot'
import { OptionError } from '../core/errors.js'
import { duration, fn, group, parse, text } from '../core/options.js'
import type { Comparable } from './comparable.js'
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

type InBandOnly = Omit<RememberingOptions, 'every'>
type Picking<R> = Required<InBandOptions<R>>
type NothingToPick = { of?: undefined }

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

/** Something that must hold for a dependency's data, not for its reachability. Made by {@link monotonic}, {@link drift}, {@link identity} and {@link invariant}. */
export type Invariant = InBandInvariant<never> | Drift | Check

/** Definitions from another copy of the package are known as well. */
const BRAND = Symbol.for('cofferdam.invariant')

const polling = { every: v.optional(duration), timeout: v.optional(duration) }
const remembering = { ...polling, store: v.optional(storeSchema), of: v.optional(fn<(result: never) => unknown>()) }
const rememberingSchema = group(remembering)
const driftSchema = group({
  ...polling,
  atMost: v.custom<number>(
    (given) => typeof given === 'number' && given >= 0 && Number.isFinite(given),
    'must be a finite number, 0 or more',
  ),
})
const pollingSchema = group(polling)
/** It ends the key under which the store knows it, after the dependency's name and a slash. */
const nameSchema = v.pipe(
  text,
  v.check((name) => !name.includes('/'), 'must not contain a slash'),
)

function define<const Kind extends string, Given extends object>(
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

/**
 * A value that must never decrease: a sequence, an order number, a position in a log. Where it does, another server
 * answers, or the same one with older data.
 *
 * Polled (with `read`, in a dependency's `invariants`) equal is fine. In band (an operation's `invariant`) a result must
 * exceed every value that was handed out before its call started, and differ from all since; one that doesn't is
 * withheld. Under one name, both watch one and the same value, and what they see must be of one kind. It isn't for ids
 * that ascend only roughly: several sequences, or one whose connections draw numbers in advance (`CACHE`).
 *
 * With a `store`, in band, each call reads the mark before its operation starts and writes it before the value is handed
 * out. If the mark can't be read, the operation isn't started; if it can't be written, the value is withheld: both
 * reject with an `InvariantError` whose `cause` is the store's error, as no id is better than a bad one.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * registry.dependency('orders-db', { invariants: [monotonic('order ids', readSequence, { every: 10_000 })] })
 * orders.wrap(nextId, { invariant: monotonic('order ids', { of: (row: Row) => row.id }) })
 */
export function monotonic(name: string, options?: InBandOnly & NothingToPick): Monotonic<Comparable>
export function monotonic<R>(name: string, options: InBandOnly & Picking<R>): Monotonic<R>
export function monotonic(
  name: string,
  read: Read<Comparable>,
  options?: RememberingOptions & NothingToPick,
): Monotonic<Comparable>
export function monotonic<R>(
  name: string,
  read: Read<Comparable>,
  options: RememberingOptions & Picking<R>,
): Monotonic<R>
export function monotonic(name: string, second?: unknown, third?: unknown): Monotonic {
  const [read, options] = typeof second === 'function' ? [second as Read<Comparable>, third] : [undefined, second]
  const given = parse(rememberingSchema, options ?? {}, 'monotonic')
  if (read === undefined && given.every !== undefined)
    throw new OptionError('monotonic.every', 'is of no use without a function that reads')
  return define('monotonic', 'monotonic', name, { ...given, read, store: given.store, of: given.of })
}

/**
 * Two sources that must not be further apart than `atMost`: a sequence on a master and on its backup, two clocks.
 * Read at the same time; `atMost` is in the values' own unit, ms for a `Date` and bytes for an LSN, and must leave room
 * for what changes while they are read.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * drift('order ids', readMaster, readBackup, { atMost: 100 })
 */
export function drift(
  name: string,
  a: Read<Comparable>,
  b: Read<Comparable>,
  options: InvariantOptions & { atMost: number },
): Drift {
  const given = parse(driftSchema, options, 'drift')
  const read = fn<Read<Comparable>>()
  return define('drift', 'drift', name, { ...given, a: parse(read, a, 'drift.a'), b: parse(read, b, 'drift.b') })
}

/**
 * Who answers: a run id or a system identifier, a string, number or bigint. Another than the first that was seen means
 * that another server answers. With `of` it can also check an operation's results.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * identity('system', async () => (await sql`select system_identifier from pg_control_system()`)[0].system_identifier)
 */
export function identity<R = never>(
  name: string,
  read: Read<string | number | bigint>,
  options: RememberingOptions & InBandOptions<R> = {},
): Identity<R> {
  const given = parse(rememberingSchema, options, 'identity')
  const parsed = parse(fn<Read<string | number | bigint>>(), read, 'identity.read')
  return define('identity', 'identity', name, { ...given, read: parsed, store: given.store, of: options.of })
}

/**
 * Any other check: `true` = holds, `false` = violated. When it throws, or gives anything else, the question is open: that
 * is reported and decides nothing.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * invariant('not read-only', async () => !(await isInRecovery()))
 */
export function invariant(name: string, check: Read<boolean>, options: InvariantOptions = {}): Check {
  const given = parse(pollingSchema, options, 'invariant')
  return define('check', 'invariant', name, { ...given, check: parse(fn<Read<boolean>>(), check, 'invariant.check') })
}

const isInvariant = (given: unknown): given is Invariant =>
  typeof given === 'object' && given !== null && Object.hasOwn(given, BRAND)

/** @internal One that a dependency can poll. */
export const polledSchema = v.custom<Invariant>(
  (given) => isInvariant(given) && !(given.kind === 'monotonic' && given.read === undefined),
  'must be made by monotonic, drift, identity or invariant, with a function that reads',
)

/** @internal One that can check an operation's results. */
export const inBandSchema = v.custom<InBandInvariant<never>>(
  (given) =>
    isInvariant(given) && (given.kind === 'monotonic' || (given.kind === 'identity' && given.of !== undefined)),
  'must be made by monotonic, or by identity with `of`',
)
