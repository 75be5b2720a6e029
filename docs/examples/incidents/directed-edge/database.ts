import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { decode, encode, HEAD, places } from './format.js'

/** The customers' databases, all with the same number of visits. */
export const customers = ['books', 'films', 'games', 'music', 'wines'] as const
/** The account that the monitor of the machine reads; it has one record. */
export const checkAccount = 'check'
export const checkRecord = 1

/** There is no such database or record. */
export class NotFound extends Error {
  readonly status = 404
}

export interface Files {
  /** One after the other, and never changed. */
  records: string
  /** Where each of them lies. */
  index: string
  lock: string
}

export const filesOf = (directory: string, name: string): Files => ({
  records: join(directory, `${name}.records`),
  index: join(directory, `${name}.index`),
  lock: join(directory, `${name}.lock`),
})

/**
 * One customer's records, and an index of where they lie. Every access goes to the files, as with mapped ones: what
 * another process does to them is there at once.
 */
export class Database {
  readonly #files: Files
  /** Writes of one process take turns; another process knows nothing of that. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(directory: string, name: string) {
    this.#files = filesOf(directory, name)
  }

  /** @throws NotFound; an error when index and records don't fit together */
  async read(id: number): Promise<string> {
    const place = await inFile(this.#files.index, 'r', (index) => places.read(index, id))
    if (place === undefined) throw new NotFound(`there is no record ${id}`)
    return inFile(this.#files.records, 'r', async (records) => {
      const bytes = Buffer.alloc(place.length)
      await records.read(bytes, 0, place.length, place.offset)
      const record = decode(bytes, 0)
      if (record?.id !== id) throw new Error(`the index is corrupt: record ${id} is not where it says`)
      return record.text
    })
  }

  /** @throws NotFound; an error when the index is corrupt: nothing was written then */
  write(id: number, text: string): Promise<void> {
    const written = this.#turn.then(() => this.#append(id, text))
    this.#turn = written.catch(() => undefined)
    return written
  }

  async #append(id: number, text: string): Promise<void> {
    const bytes = encode(id, text)
    await inFile(this.#files.index, 'r+', async (index) => {
      await places.check(index)
      const offset = await inFile(this.#files.records, 'r+', async (records) => {
        const { size } = await records.stat()
        await records.write(bytes, 0, bytes.length, size)
        return size
      })
      await places.write(index, id, { offset, length: HEAD + Buffer.byteLength(text) })
    })
  }
}

/** @throws NotFound when there is no such file */
export async function inFile<T>(path: string, flags: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, flags).catch((error: unknown) => {
    throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? new NotFound('there is no such database') : error
  })
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}
