import * as v from 'valibot'
import { resolve } from 'node:path'
import { Keeper, type CacheFileCounts, type KeeperSettings, type Saved } from './cache-file/keeper.js'
import type { FileLoaded } from './cache-file/loaded.js'
import { CACHES, type Caches } from './core/dump.js'
import { OptionError } from './core/errors.js'
import { count, duration, flag, group, parse, text } from './core/options.js'
import type { OperationCache } from './core/wrapped.js'
import type { Dependency } from './dependency.js'

const schema = group({
  every: v.optional(duration),
  timeout: v.optional(duration),
  generations: v.optional(count),
  maxBytes: v.optional(count),
  private: v.optional(flag),
})

export interface CacheFileOptions {
  /** How often it is saved in the background, ms, ± 10 %. Default 60,000. */
  every?: number
  /** How long one load or save may take, ms. Default 30,000. */
  timeout?: number
  /** Files kept at most: `file`, `file.1`, `file.2`, the newest first. Default 3. */
  generations?: number
  /** The most bytes in a file: what was used least recently is left out, and a larger file isn't read. Default 67,108,864. */
  maxBytes?: number
  /** Values of operations whose `scope` isn't `'public'` too: they lie on the disk, for this user to read. Default false. */
  private?: boolean
}

/** A file that keeps what caches hold, for the next start of the process. */
export interface CacheFile {
  /**
   * Fills the caches with what is still in time; call it once, when the operations have been wrapped. A process' first
   * start has no file, and that is fine. When the newest is torn the next generation is taken, and a `registry` event
   * `error` says so.
   *
   * @throws CacheDumpError (`ERR_CACHE_DUMP`) when there are files and none is whole, or it takes too long: the caches are
   * empty then, and calls go on; ClosedError (`ERR_CLOSED`)
   */
  load(): Promise<FileLoaded>
  /**
   * Writes what the caches hold now. Those who ask at the same time share one save.
   * @throws CacheDumpError (`ERR_CACHE_DUMP`) when that isn't possible; ClosedError (`ERR_CLOSED`)
   */
  save(): Promise<Saved>
  /** Saves once more, and then no longer. Never rejects: what goes wrong is told as it is in the background. Idempotent. */
  close(): Promise<void>
  readonly counts: Readonly<CacheFileCounts>
}

/** Whose values are kept: all cached operations of a dependency, or some operations. */
export type CacheFileSource = Dependency | readonly { readonly cache: OperationCache<never> }[]

/**
 * Keeps the caches of a dependency, or of some operations, in a file for warm starts. It is written in the background, whole
 * or not at all, by whoever may write the directory; several generations are kept; an empty or older dump never takes the
 * place of a fuller, newer one. Nothing here keeps the process alive, and a disk that fails is told of by the
 * registry's `error` event, never by a call. One process to a file is best; several don't tear it.
 *
 * @throws OptionError (`ERR_OPTION`)
 * @example
 * const file = cacheFile('/var/cache/shop/feed', feed)
 * await file.load().catch(console.warn)
 * process.once('SIGTERM', () => void file.close())
 */
export function cacheFile(path: string, source: CacheFileSource, options: CacheFileOptions = {}): CacheFile {
  const given = parse(schema, options, 'cacheFile')
  const settings: KeeperSettings = {
    every: given.every ?? 60_000,
    timeout: given.timeout ?? 30_000,
    generations: given.generations ?? 3,
    maxBytes: given.maxBytes ?? 67_108_864,
    private: given.private ?? false,
  }
  // Now: the working directory may be another by the time of a save.
  const keeper = new Keeper(resolve(parse(text, path, 'cacheFile.path')), cachesOf(source), settings)
  return {
    load: () => keeper.load(),
    save: () => keeper.save(),
    close: () => keeper.close(),
    get counts() {
      return { ...keeper.counts }
    },
  }
}

function cachesOf(source: CacheFileSource): Caches {
  if (!Array.isArray(source)) {
    const caches = (source as Partial<Dependency> | null | undefined)?.[CACHES]
    if (caches === undefined)
      throw new OptionError('cacheFile.source', 'must be a dependency, or an array of operations')
    return caches
  }
  const all = (source as readonly Partial<{ cache: OperationCache<never> }>[]).map((operation, index) => {
    const caches = operation.cache?.[CACHES]
    if (caches === undefined) throw new OptionError(`cacheFile.source[${index}]`, 'must be an operation that is cached')
    return caches
  })
  if (all[0] === undefined) throw new OptionError('cacheFile.source', 'must not be empty')
  const sources = all.flatMap((caches) => caches.sources())
  const names = sources.map(({ dependency, operation }) => JSON.stringify([dependency, operation]))
  if (new Set(names).size < names.length)
    throw new OptionError('cacheFile.source', 'must not have two operations of one name and dependency')
  return { ...all[0], sources: () => sources }
}
