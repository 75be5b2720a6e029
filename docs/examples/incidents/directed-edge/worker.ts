import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { endChild, startChild } from '../../replay/child.js'
import type { Report, Serving } from './process.js'

/** A serving process that can be restarted; its address stays. */
export class Worker {
  restarts = 0
  readonly url: string
  readonly #serving: Serving
  readonly #onReport: (report: Report) => void
  #child: ChildProcess | undefined

  constructor(serving: Serving, onReport: (report: Report) => void) {
    this.#serving = serving
    this.#onReport = onReport
    this.url = `http://127.0.0.1:${serving.port}`
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const file = fileURLToPath(new URL('process.ts', import.meta.url))
    this.#child = startChild(file, [JSON.stringify(this.#serving)])
    this.#child.on('message', this.#onReport)
    await Promise.race([once(this.#child, 'message'), once(this.#child, 'exit')])
    if (this.#child.exitCode !== null) throw new Error(`the ${this.#serving.variant} service did not start`)
  }

  async restart(): Promise<void> {
    this.restarts++
    await this.stop()
    await this.start()
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child !== undefined) await endChild(this.#child, signal)
  }
}
