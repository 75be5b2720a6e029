import { Background } from '../core/background.js'
import { bound } from '../core/bound.js'
import { backgroundClock, type Clock } from '../core/clock.js'
import type { Caches, CacheSource } from '../core/dump.js'
import { CacheDumpError, ClosedError } from '../core/errors.js'
import { Periodic } from '../core/periodic.js'
import { Disk } from './disk.js'
import { encode, readLines, verify, type Part } from './format.js'
import { isFuller, placeOf } from './generations.js'
import { Sorter, type FileLoaded } from './loaded.js'
import { inSlices } from './slices.js'

export interface KeeperSettings {
  readonly every: number
  readonly timeout: number
  readonly generations: number
  readonly maxBytes: number
  readonly private: boolean
}

/**
 * What a save came to. `written`: it is the newest generation now; `kept`: it is older than that, and has its place behind;
 * `unchanged`: it is there already; `empty` and `older`: not written, what is there is more.
 */
export type Saved = 'written' | 'kept' | 'unchanged' | 'empty' | 'older'

/** How often each of these came about. */
export interface CacheFileCounts extends Record<Saved, number> {
  /** Saves that failed or took too long. */
  failed: number
}

/** Keeps the caches of some operations in a file: one piece of work at a time, in the background or when asked. */
export class Keeper {
  readonly counts: CacheFileCounts = { written: 0, kept: 0, unchanged: 0, empty: 0, older: 0, failed: 0 }
  readonly #path: string
  readonly #caches: Caches
  readonly #settings: KeeperSettings
  readonly #disk: Disk
  readonly #periodic: Periodic
  readonly #background: Background | undefined
  /** The last piece of work, also when nobody waits for it any more. */
  #last: Promise<unknown> = Promise.resolve()
  /** The save that has not begun: all who ask meanwhile share it. */
  #next: Promise<Saved> | undefined
  #known: { date: number; count: number } | undefined
  #closing: Promise<void> | undefined

  constructor(path: string, caches: Caches, settings: KeeperSettings) {
    this.#path = path
    this.#caches = caches
    this.#settings = settings
    this.#disk = new Disk(path, settings.generations)
    if (caches.background === undefined) this.#background = new Background(caches.clock)
    const background = this.#background ?? caches.background!()
    this.#periodic = new Periodic(background, 'file', settings.every, () => this.#saveBehind())
  }

  async load(): Promise<FileLoaded> {
    this.#checkOpen()
    const reading = { late: false }
    const work = this.#afterOthers(() => this.#load(reading))
    return this.#bounded(this.#caches.clock, work, 'load', () => {
      reading.late = true
    })
  }

  async save(): Promise<Saved> {
    this.#checkOpen()
    return this.#saved(this.#caches.clock)
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#periodic.stop()
    try {
      await this.#saved(this.#caches.clock)
    } catch (error) {
      this.#report('saved', error)
    }
    this.#background?.close()
  }

  async #saveBehind(): Promise<void> {
    try {
      await this.#saved(backgroundClock(this.#caches.clock))
    } catch (error) {
      this.#report('saved', error)
    }
  }

  async #saved(clock: Clock): Promise<Saved> {
    this.#next ??= this.#afterOthers(() => {
      this.#next = undefined
      return this.#save()
    })
    return this.#bounded(clock, this.#next, 'save')
  }

  async #save(): Promise<Saved> {
    try {
      const saved = await this.#write()
      this.counts[saved]++
      return saved
    } catch (error) {
      this.counts.failed++
      throw error
    }
  }

  async #write(): Promise<Saved> {
    const { clock } = this.#caches
    const taken = this.#sources().map((source) => ({ source, taken: source.take({ private: this.#settings.private }) }))
    const count = taken.reduce((sum, part) => sum + part.taken.entries.length, 0)
    const date = newsOf(taken)
    const before = await this.#disk.heads()
    if (date !== -Infinity && this.#known?.date === date && this.#known.count === count && before[0]?.date === date)
      return 'unchanged'
    const { generation, blocks } = await encode(taken, date, clock.wall(), this.#settings.maxBytes)
    // Anew: others may write the same file.
    const place = placeOf(generation, await this.#disk.heads(), clock.wall())
    if (typeof place === 'string') return place
    await this.#disk.put(blocks, place.at, place.over)
    if (place.at > 0) return 'kept'
    this.#known = { date, count }
    return 'written'
  }

  async #load(reading: { late: boolean }): Promise<FileLoaded> {
    const counts: FileLoaded = {
      ...{ loaded: 0, expired: 0, older: 0, future: 0, malformed: 0, full: 0, unclaimed: 0 },
      generations: [],
      refused: 0,
    }
    const sources = this.#sources()
    let problem: CacheDumpError | undefined
    for (let generation = 0; generation < this.#settings.generations; generation++)
      try {
        const file = await this.#read(generation, counts)
        if (file === undefined) continue
        const sorter = new Sorter(sources, counts)
        await inSlices(readLines(file), (line) => {
          if (reading.late) throw new Error('took too long')
          sorter.take(line)
        })
        counts.generations.push(generation)
      } catch (error) {
        if (reading.late) throw error
        counts.refused++
        problem ??= this.#problem(this.#disk.nameOf(generation), error)
      }
    if (problem === undefined) return counts
    if (counts.generations.length === 0) throw problem
    this.#report('read, and an older one was taken', problem.cause)
    return counts
  }

  /** @returns a generation that is whole, and that has something to add */
  async #read(generation: number, { loaded, generations }: FileLoaded): Promise<Buffer | undefined> {
    if (generations.length > 0) {
      // What it has more was lost on the way: a process that started with nothing has written since.
      const head = await this.#disk.head(generation)
      if (head === undefined || !isFuller(head, loaded)) return undefined
    }
    const file = await this.#disk.whole(generation, this.#settings.maxBytes)
    if (file !== undefined) await verify(file)
    return file
  }

  #sources(): readonly CacheSource[] {
    return this.#caches.sources().filter(({ scope }) => scope === 'public' || this.#settings.private)
  }

  #afterOthers<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => undefined)
    return done
  }

  async #bounded<T>(clock: Clock, work: Promise<T>, what: string, late?: () => void): Promise<T> {
    const { timeout } = this.#settings
    try {
      return await bound(clock, work, timeout, () => {
        late?.()
        throw new Error(`${what} took longer than timeout, ${timeout} ms`)
      })
    } catch (error) {
      throw error instanceof CacheDumpError ? error : this.#problem(this.#path, error)
    }
  }

  #problem(path: string, error: unknown): CacheDumpError {
    return new CacheDumpError(`cache file ${path}: ${reasonOf(error)}`, { cause: error })
  }

  /** To listeners, who needn't know where files are: messages of the file system say it. */
  #report(what: string, error: unknown): void {
    const reason = reasonOf(error instanceof CacheDumpError ? error.cause : error)
    this.#caches.report(new CacheDumpError(`a cache file could not be ${what}: ${reason}`))
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new ClosedError('the cache file was closed')
  }
}

/** When the newest value's call started, or something was last deleted; -Infinity when there is nothing to tell. */
function newsOf(parts: readonly Part[]): number {
  let date = -Infinity
  for (const { taken } of parts) {
    date = Math.max(date, taken.head.changed ?? -Infinity)
    for (const { at } of taken.entries) date = Math.max(date, at)
  }
  return date
}

function reasonOf(error: unknown): string {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown }
  return typeof code === 'string' ? code : String(message)
}
