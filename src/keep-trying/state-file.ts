import { open, rename, writeFile } from 'node:fs/promises'
import * as v from 'valibot'
import { bound } from '../core/bound.js'
import type { Clock } from '../core/clock.js'
import { age, count, group } from '../core/options.js'
import type { PaceRecord } from './pace.js'

/** How long the file may keep an attempt waiting, ms. */
const PATIENCE = 1_000
/** More than is ever written. */
const MOST_BYTES = 4_096

const schema = group({ dependency: v.string(), attempts: count, at: age, wait: age })

/**
 * The pace in a file, for a process that ends and is started again at once. Written whole beside it and then renamed, so
 * nobody sees half of it; what can't be understood is as good as nothing. For one process at a time.
 */
export class StateFile {
  readonly #path: string
  readonly #clock: Clock
  readonly #dependency: string
  readonly #report: (error: unknown) => void

  constructor(path: string, clock: Clock, dependency: string, report: (error: unknown) => void) {
    this.#path = path
    this.#clock = clock
    this.#dependency = dependency
    this.#report = report
  }

  read(): Promise<PaceRecord | undefined> {
    return this.#bounded(async () => {
      const file = await open(this.#path).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
        throw error
      })
      if (file === undefined) return undefined
      try {
        const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(MOST_BYTES) })
        return this.#understand(buffer.toString('utf8', 0, bytesRead))
      } finally {
        await file.close()
      }
    })
  }

  async write(record: PaceRecord): Promise<void> {
    const text = JSON.stringify({ dependency: this.#dependency, ...record })
    const beside = `${this.#path}.tmp`
    await this.#bounded(async () => {
      await writeFile(beside, text)
      await rename(beside, this.#path)
    })
  }

  #understand(text: string): PaceRecord | undefined {
    let content: unknown
    try {
      content = JSON.parse(text)
    } catch {
      return undefined
    }
    const { success, output } = v.safeParse(schema, content)
    return success && output.dependency === this.#dependency ? output : undefined
  }

  /** A disk that fails or hangs is told of, and holds nobody up. */
  async #bounded<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await bound<T>(this.#clock, work(), PATIENCE, () => {
        throw new Error(`${this.#path}: no answer within ${PATIENCE} ms`)
      })
    } catch (error) {
      this.#report(error)
      return undefined
    }
  }
}
