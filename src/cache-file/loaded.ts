import type { CacheSource, LoadCounts, Loading } from '../core/dump.js'
import type { PartHead } from './format.js'

/** What became of the entries of a file. */
export interface FileLoaded extends LoadCounts {
  /** Of operations that aren't here, or are scoped otherwise now, or private without `private`. */
  unclaimed: number
  /** The generations that were read: 0 is the newest. */
  generations: number[]
  /** Those that were torn, or no cache files. */
  refused: number
}

/** Takes the lines of a file to the operations that they belong to. */
export class Sorter {
  readonly #sources: readonly CacheSource[]
  readonly #counts: FileLoaded
  #loading: Loading | undefined
  /** Entries of the operation that are still to come. */
  #left = 0

  /** @param counts what is added to */
  constructor(sources: readonly CacheSource[], counts: FileLoaded) {
    this.#sources = sources
    this.#counts = counts
  }

  take(line: unknown): void {
    if (this.#left === 0) {
      this.#begin(line as PartHead)
    } else {
      this.#left--
      this.#loading?.add(line)
    }
    if (this.#left === 0) this.#end()
  }

  #begin(head: PartHead): void {
    const { dependency, operation, scope, entries } = head
    this.#left = entries
    const source = this.#sources.find(
      (one) => one.dependency === dependency && one.operation === operation && one.scope === scope,
    )
    if (source === undefined) this.#counts.unclaimed += entries
    this.#loading = source?.loading({ ...head, entries: [] })
  }

  #end(): void {
    if (this.#loading === undefined) return
    const ended = this.#loading.end()
    for (const what of Object.keys(ended) as (keyof LoadCounts)[]) this.#counts[what] += ended[what]
    this.#loading = undefined
  }
}
