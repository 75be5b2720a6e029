import type { ErrorRequestHandler } from 'express'
import { Database } from './database.js'

/** A write that reached the files, in wall time: two processes have to agree on it. */
export interface Written {
  database: string
  from: number
  to: number
}

/** All databases of the machine, as the serving process uses them. */
export class Store {
  readonly #directory: string
  readonly #onWrite: (written: Written) => void
  readonly #databases = new Map<string, Database>()

  constructor(directory: string, onWrite: (written: Written) => void) {
    this.#directory = directory
    this.#onWrite = onWrite
  }

  read(name: string, id: number): Promise<string> {
    return this.#database(name).read(id)
  }

  async write(name: string, id: number, text: string): Promise<void> {
    const from = Date.now()
    await this.#database(name).write(id, text)
    this.#onWrite({ database: name, from, to: Date.now() })
  }

  #database(name: string): Database {
    let database = this.#databases.get(name)
    if (database === undefined) this.#databases.set(name, (database = new Database(this.#directory, name)))
    return database
  }
}

/** Nothing internal leaves. */
export const answerErrors: ErrorRequestHandler = (error: { status?: number }, _request, response, _next) => {
  response.status(error.status ?? 500).end()
}
