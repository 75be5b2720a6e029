import { OptionError } from '../core/errors.js'
import { group, parse } from '../core/options.js'
import type { Comparable } from '../core/comparable.js'
import {
  define,
  remembering,
  type InBandOptions,
  type Monotonic,
  type Read,
  type RememberingOptions,
} from './invariant-definition.js'

type InBandOnly = Omit<RememberingOptions, 'every'>
type Picking<R> = Required<InBandOptions<R>>
type NothingToPick = { of?: undefined }

const schema = group(remembering)

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
  const given = parse(schema, options ?? {}, 'monotonic')
  if (read === undefined && given.every !== undefined)
    throw new OptionError('monotonic.every', 'is of no use without a function that reads')
  return define('monotonic', 'monotonic', name, { ...given, read, store: given.store, of: given.of })
}
