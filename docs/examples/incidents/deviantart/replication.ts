import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'

/** While it is lossy, of so many statements one arrives. */
const ONE_OF = 4
const EVERY = 100

/** Executes the master's statements on the backup once more; now and then one gets lost, and nobody is told. */
export class Replication {
  lossy = false
  readonly #stopped = new AbortController()
  readonly #running: Promise<void>

  constructor(master: Pool, backup: Pool) {
    this.#running = this.#run(master, backup)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  async #run(master: Pool, backup: Pool): Promise<void> {
    let last = '0'
    while (!this.#stopped.signal.aborted) {
      const select = 'select number, sql from statements where number > $1 order by number'
      const { rows } = await master.query<{ number: string; sql: string }>(select, [last])
      for (const { number, sql } of rows) {
        if (!this.lossy || Number(number) % ONE_OF === 0) await backup.query(sql)
        last = number
      }
      await sleep(EVERY, undefined, { signal: this.#stopped.signal }).catch(() => undefined)
    }
  }
}
