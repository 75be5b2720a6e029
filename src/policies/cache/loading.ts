import * as v from 'valibot'
import { DUMP_FORMAT, type LoadCounts, type Loading } from '../../core/dump.js'
import { CacheDumpError } from '../../core/errors.js'
import type { Dumped } from './dumps.js'
import type { Version } from './version.js'
import { deepFreeze } from './value.js'
import type { WallTime } from './wall-time.js'

const stamp = v.pipe(v.number(), v.finite())

const headSchema = v.object({
  format: v.literal(DUMP_FORMAT),
  dependency: v.string(),
  operation: v.string(),
  scope: v.picklist(['public', 'private']),
  at: stamp,
  entries: v.array(v.unknown()),
  deleted: v.array(v.tuple([v.string(), stamp])),
  cleared: v.optional(stamp),
})

const versionSchema = v.union([
  v.string(),
  stamp,
  v.pipe(
    v.object({ bigint: v.pipe(v.string(), v.regex(/^-?\d+$/)) }),
    v.transform(({ bigint }): Version => BigInt(bigint)),
  ),
  v.pipe(
    v.object({ date: stamp }),
    // eslint-disable-next-line no-restricted-syntax -- a value that somebody gave, not a reading of the clock
    v.transform(({ date }): Version => new Date(date)),
  ),
])

/** Takes one dump in, entry by entry; between two of them anything else may happen. */
export class DumpLoading implements Loading {
  readonly #counts: LoadCounts = { loaded: 0, expired: 0, older: 0, future: 0, malformed: 0, full: 0 }
  readonly #of: Dumped
  readonly #wall: WallTime
  readonly #madeAt: number
  readonly #cleared: number
  /** Of what was loaded, most recently used first. */
  readonly #keys: string[] = []

  /** @throws CacheDumpError (`ERR_CACHE_DUMP`) */
  constructor(of: Dumped, dump: unknown, wall: WallTime) {
    this.#of = of
    this.#wall = wall
    const { dependency } = of
    const parsed = v.safeParse(headSchema, dump)
    if (!parsed.success) throw new CacheDumpError(`load: not a dump of format ${DUMP_FORMAT}`, { dependency })
    const head = parsed.output
    if (head.dependency !== dependency || head.operation !== of.operation || head.scope !== of.scope)
      throw new CacheDumpError(
        `load: a dump of ${head.dependency} (${head.operation}), ${head.scope}, is not one of ${dependency} (${of.operation}), ${of.scope}`,
        { dependency },
      )
    this.#madeAt = head.at
    this.#cleared = head.cleared === undefined ? -Infinity : this.#endOf(head.cleared)
    this.#forget(head.deleted)
  }

  add(given: unknown): void {
    this.#counts[this.#take(given)]++
  }

  end(): LoadCounts {
    const { owner, store } = this.#of
    // In the order that they were used in, where they came from.
    for (const key of this.#keys.reverse()) store.get(key)
    // Its own entries are what was left then.
    owner.clearedAt = Math.max(owner.clearedAt, this.#cleared)
    return { ...this.#counts }
  }

  #take(given: unknown): keyof LoadCounts {
    if (typeof given !== 'object' || given === null) return 'malformed'
    const { key: short, value, at, version: carried, expired } = given as Record<string, unknown>
    const { clock, owner, store, staleFor, freeze, keys } = this.#of
    const key = keys.lengthen(short)
    const version = carried === undefined ? undefined : v.safeParse(versionSchema, carried)
    if (key === undefined || !isStamp(at) || at > this.#madeAt || version?.success === false) return 'malformed'
    if (at > this.#wall.latest) return 'future'
    const startedAt = this.#startOf(at)
    if (clock.now() - startedAt >= staleFor) return 'expired'
    const entry = {
      owner,
      value,
      startedAt,
      sequence: owner.sequence,
      version: version?.output,
      expired: expired === true,
      loaded: true,
      every: undefined,
      aheadAt: 0,
    }
    try {
      if (freeze) deepFreeze(value)
      const result = store.load(key, entry, this.#certain)
      if (result === 'loaded') this.#keys.push(key)
      return result
    } catch {
      // Its size can't be told.
      return 'malformed'
    }
  }

  /** What was deleted or cleared there is no longer served here either, if it came from an older dump. */
  #forget(deleted: readonly (readonly [short: string, at: number])[]): void {
    const { owner, store, keys } = this.#of
    const of = { owner, sequence: owner.sequence }
    if (this.#cleared > owner.clearedAt) store.clearLoaded({ ...of, startedAt: this.#cleared })
    for (const [short, at] of deleted) {
      const key = keys.lengthen(short)
      if (key === undefined) continue
      store.deleteLoaded(key, { ...of, startedAt: this.#endOf(at) })
    }
  }

  /** Wall time was set back since the dump was made: how long ago that was can't be told. */
  get #certain(): boolean {
    return this.#madeAt <= this.#wall.latest
  }

  /** When something was deleted, by our monotonic clock; no earlier than it was. */
  #endOf(at: number): number {
    return this.#certain ? this.#startOf(at) : this.#of.clock.now()
  }

  /** By our monotonic clock; never younger than it was when the dump was made. */
  #startOf(at: number): number {
    const { latest } = this.#wall
    return this.#of.clock.now() - Math.max(0, Math.max(latest, this.#madeAt) - at)
  }
}

const isStamp = (at: unknown): at is number => typeof at === 'number' && Number.isFinite(at)
