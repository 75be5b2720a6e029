import { constants } from 'node:fs'
import { open, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { isOurs, readHead, type FileHead } from './format.js'

/** Enough for the first line. */
const START = 4_096
/** A temporary file that wasn't touched for so long is left over from a process that was killed, ms. */
const ABANDONED = 600_000
/** What systems say that have no use for a directory's sync, or forbid it. */
const NO_SYNC = ['EACCES', 'EBADF', 'EINVAL', 'EISDIR', 'ENOTSUP', 'EPERM']

/** The files of one cache: the newest, and its older generations beside it as `.1`, `.2`. */
export class Disk {
  readonly #path: string
  readonly #generations: number

  constructor(path: string, generations: number) {
    this.#path = path
    this.#generations = generations
  }

  /** By generation, the newest 0. */
  nameOf(generation: number): string {
    return generation === 0 ? this.#path : `${this.#path}.${generation}`
  }

  /**
   * What a generation says that it is.
   * @returns undefined when there is none, or it is torn
   * @throws Error of the file system, or when it isn't ours
   */
  async head(generation: number): Promise<FileHead | undefined> {
    const start = await this.#read(generation, START)
    if (start === undefined) return undefined
    if (!isOurs(start))
      throw new Error(generation === 0 ? 'is not a cache file' : `generation ${generation} is not a cache file`)
    return readHead(start)
  }

  /**
   * The same of all, newest first. A torn one has nothing that could be lost.
   * @throws Error when there is one that isn't ours
   */
  heads(): Promise<(FileHead | undefined)[]> {
    return Promise.all(Array.from({ length: this.#generations }, (_, generation) => this.head(generation)))
  }

  /**
   * The whole of a generation, in memory.
   * @returns undefined when there is none
   * @throws Error of the file system, or when it is too large
   */
  async whole(generation: number, most: number): Promise<Buffer | undefined> {
    const file = await this.#read(generation, most + 1)
    if (file !== undefined && file.length > most) throw new Error(`is larger than maxBytes, ${most}`)
    return file
  }

  /**
   * Writes a file, all of it or nothing, and moves older ones on. Others may do the same at the same time.
   *
   * @param at the generation that it becomes
   * @param over the one that it pushes out
   */
  async put(blocks: readonly Buffer[], at: number, over: number): Promise<void> {
    const temporary = `${this.#path}.${randomUUID()}.tmp`
    try {
      const writtenAt = await write(temporary, blocks)
      for (let generation = over; generation > at; generation--)
        await orMissing(rename(this.nameOf(generation - 1), this.nameOf(generation)))
      await rename(temporary, this.nameOf(at))
      await syncDirectory(dirname(this.#path))
      await this.#sweep(writtenAt)
    } catch (error) {
      await unlink(temporary).catch(() => undefined)
      throw error
    }
  }

  /** At most so many bytes from the start. */
  async #read(generation: number, most: number): Promise<Buffer | undefined> {
    // Opening a pipe would wait for somebody to write into it.
    const file = await orMissing(open(this.nameOf(generation), constants.O_RDONLY | constants.O_NONBLOCK))
    if (file === undefined) return undefined
    try {
      const { size } = await regular(file)
      const buffer = Buffer.allocUnsafe(Math.min(size, most))
      let length = 0
      while (length < buffer.length) {
        const { bytesRead } = await file.read(buffer, length, buffer.length - length, length)
        if (bytesRead === 0) break
        length += bytesRead
      }
      return buffer.subarray(0, length)
    } finally {
      await file.close()
    }
  }

  /** By the file system's own time, which may be another machine's. */
  async #sweep(now: number): Promise<void> {
    const directory = dirname(this.#path)
    const start = `${basename(this.#path)}.`
    for (const name of await readdir(directory)) {
      if (!name.startsWith(start) || !name.endsWith('.tmp')) continue
      const path = join(directory, name)
      const { mtimeMs } = (await orMissing(stat(path))) ?? { mtimeMs: now }
      if (now - mtimeMs > ABANDONED) await orMissing(unlink(path))
    }
  }
}

/** @returns when that was, by the file system's time */
async function write(path: string, blocks: readonly Buffer[]): Promise<number> {
  // Whatever is cached may be somebody's.
  const file = await open(path, 'wx', 0o600)
  try {
    for (const block of blocks) await file.writeFile(block)
    await file.sync()
    return (await file.stat()).mtimeMs
  } finally {
    await file.close()
  }
}

/** Without it a rename may be lost with the power. Not every system can. */
async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, 'r')
    await directory.sync().finally(() => directory.close())
  } catch (error) {
    if (!NO_SYNC.includes(String((error as { code?: unknown }).code))) throw error
  }
}

async function regular(file: FileHandle): Promise<{ size: number }> {
  const stats = await file.stat()
  if (!stats.isFile()) throw new Error('is not a file')
  return stats
}

async function orMissing<T>(doing: Promise<T>): Promise<T | undefined> {
  try {
    return await doing
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined
    throw error
  }
}
