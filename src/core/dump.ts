import type { Background } from './background.js'
import type { Clock } from './clock.js'

/** What a dump is written like; another number is refused. */
export const DUMP_FORMAT = 1

/**
 * What the cache of one operation held at one instant: plain, and the same after a turn through JSON. Stamps are wall
 * time, whole ms since the epoch, rounded so that nothing gets younger.
 */
export interface CacheDump {
  readonly format: typeof DUMP_FORMAT
  readonly dependency: string
  readonly operation: string
  /** `private`: each value is somebody's, named by the operation's `scope`. */
  readonly scope: 'public' | 'private'
  /** When it was made. */
  readonly at: number
  /** Most recently used first. */
  readonly entries: readonly DumpedEntry[]
  /** Keys deleted lately, and when: loading this dump keeps older values of theirs out. */
  readonly deleted: readonly (readonly [key: string, at: number])[]
  /** What began up to then was cleared. */
  readonly cleared?: number
  /** When something was last deleted, cleared or expired. */
  readonly changed?: number
  /** Values left out, because JSON can't carry them. */
  readonly skipped: number
  /** Values left out, because they are private and that wasn't allowed. */
  readonly withheld: number
}

export interface DumpedEntry {
  readonly key: string
  /** Absent when it is undefined. */
  readonly value?: unknown
  /** When the call that produced it started. */
  readonly at: number
  readonly version?: DumpedVersion
  /** Fresh no longer, whatever its age. */
  readonly expired?: true
}

/** A version, as JSON can carry it. */
export type DumpedVersion = number | string | { readonly bigint: string } | { readonly date: number }

export interface DumpOptions {
  /** Values of operations whose `scope` isn't `'public'` too. Whoever can read the dump can read them. Default false. */
  private?: boolean
}

/** What became of the entries of a dump. */
export interface LoadCounts {
  loaded: number
  /** Past `staleFor`, counted from the start of the call that produced the value. */
  expired: number
  /** Something as new or newer is held, or was held, deleted or cleared; or the version held is higher. */
  older: number
  /** Started later than this clock says it is now: the age can't be told. */
  future: number
  /** Not an entry of a dump. */
  malformed: number
  /** No room: loading pushes nothing out. */
  full: number
}

/** What a cache held, not yet put into JSON: that can be done piece by piece. */
export interface Taken {
  readonly head: Omit<CacheDump, 'entries' | 'skipped'>
  readonly entries: readonly DumpedEntry[]
  readonly staleFor: number
}

/** A dump being loaded, entry by entry, most recently used first. */
export interface Loading {
  add(entry: unknown): void
  /** Nothing is served wrongly without it, but what the dump says was deleted is known only from then on. */
  end(): LoadCounts
}

/** The cache of one operation, for whoever keeps dumps of it. */
export interface CacheSource {
  readonly dependency: string
  readonly operation: string
  readonly scope: 'public' | 'private'
  take(options: DumpOptions): Taken
  /** Whether JSON can carry a value. */
  carriable(value: unknown): boolean
  /** @throws CacheDumpError (`ERR_CACHE_DUMP`) when it isn't of this operation */
  loading(head: unknown): Loading
}

/** Where a dependency, or the cache of an operation, keeps this. */
export const CACHES = Symbol('cofferdam.caches')

/** One or more caches, with what keeping them takes. */
export interface Caches {
  readonly clock: Clock
  /** Undefined where there is no registry. */
  readonly background: (() => Background) | undefined
  readonly sources: () => readonly CacheSource[]
  report(error: unknown): void
}
