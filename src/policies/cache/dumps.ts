import * as v from 'valibot'
import type { Clock } from '../../core/clock.js'
import {
  DUMP_FORMAT,
  type CacheDump,
  type CacheSource,
  type DumpedEntry,
  type DumpedVersion,
  type DumpOptions,
  type LoadCounts,
  type Taken,
} from '../../core/dump.js'
import { flag, group, parse } from '../../core/options.js'
import { carriable } from './carriable.js'
import { DumpLoading } from './loading.js'
import type { KeyMaker } from './key.js'
import type { Owner } from './owner.js'
import type { Entry, Store } from './store.js'
import type { Version } from './version.js'
import { WallTime } from './wall-time.js'

const schema = group({ private: v.optional(flag) })

/** The operation whose values are dumped and loaded. */
export interface Dumped {
  readonly clock: Clock
  readonly dependency: string
  readonly operation: string
  readonly scope: 'public' | 'private'
  readonly staleFor: number
  readonly freeze: boolean
  readonly owner: Owner
  readonly store: Store
  readonly keys: KeyMaker
}

/** Makes dumps of one operation's values, and takes them in. */
export class Dumps implements CacheSource {
  readonly dependency: string
  readonly operation: string
  readonly scope: 'public' | 'private'
  /** When something was last deleted, cleared or expired, monotonic. */
  changedAt: number | undefined
  readonly #of: Dumped
  readonly #wall: WallTime

  constructor(of: Dumped) {
    this.dependency = of.dependency
    this.operation = of.operation
    this.scope = of.scope
    this.#of = of
    this.#wall = new WallTime(of.clock)
  }

  dump(options: DumpOptions = {}): CacheDump {
    const { private: all = false } = parse(schema, options, 'dump')
    const { head, entries } = this.take({ private: all })
    const fit = entries.filter(({ value }) => carriable(value))
    return { ...head, entries: fit, skipped: entries.length - fit.length }
  }

  load(dump: unknown): LoadCounts {
    const loading = this.loading(dump)
    for (const entry of (dump as CacheDump).entries) loading.add(entry)
    return loading.end()
  }

  take({ private: all = false }: DumpOptions): Taken {
    const { clock, dependency, operation, scope, owner, store, keys, staleFor } = this.#of
    const now = clock.now()
    this.#wall.look()
    const stamp = this.#wall.stamps()
    const shown = scope === 'public' || all
    const entries: DumpedEntry[] = []
    const deleted: [string, number][] = []
    let withheld = 0
    for (const [key, entry] of store.of(owner))
      if (now - entry.startedAt >= staleFor) continue
      else if (shown) entries.push(dumped(keys.shorten(key), entry, Math.floor(stamp(entry.startedAt))))
      else withheld++
    if (shown)
      for (const [key, { startedAt }] of store.deletedOf(owner))
        deleted.push([keys.shorten(key), Math.ceil(stamp(startedAt))])
    const { clearedAt } = owner
    const { changedAt } = this
    return {
      head: {
        format: DUMP_FORMAT,
        dependency,
        operation,
        scope,
        at: Math.ceil(stamp(now)),
        deleted,
        ...(clearedAt === -Infinity ? {} : { cleared: Math.ceil(stamp(clearedAt)) }),
        ...(changedAt === undefined ? {} : { changed: Math.ceil(stamp(changedAt)) }),
        withheld,
      },
      entries,
      staleFor,
    }
  }

  carriable(value: unknown): boolean {
    return carriable(value)
  }

  loading(head: unknown): DumpLoading {
    return new DumpLoading(this.#of, head, this.#wall)
  }
}

function dumped(key: string, { value, version, expired }: Entry, at: number): DumpedEntry {
  const carried = version === undefined ? undefined : dumpedVersion(version)
  return {
    key,
    at,
    ...(value === undefined ? {} : { value }),
    ...(carried === undefined ? {} : { version: carried }),
    ...(expired ? { expired } : {}),
  }
}

/** One that can't be compared with any other isn't carried. */
function dumpedVersion(version: Version): DumpedVersion | undefined {
  if (typeof version === 'string') return version
  if (typeof version === 'bigint') return { bigint: String(version) }
  if (typeof version === 'number') return Number.isFinite(version) ? version : undefined
  const date = Number(version)
  return Number.isNaN(date) ? undefined : { date }
}
