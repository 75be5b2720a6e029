import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { endChild, startChild } from '../../replay/child.js'

/** Starts a process again whenever it ends, at once: “respawn”, as start-up scripts say. */
export class Supervisor {
  starts = 0
  /** Connections that it has opened, or tried to. */
  connections = 0
  readonly #args: readonly string[]
  #child: ChildProcess
  #stopped = false

  constructor(args: readonly string[]) {
    this.#args = args
    this.#child = this.#start()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await endChild(this.#child, 'SIGKILL')
  }

  #start(): ChildProcess {
    this.starts++
    const child = startChild(fileURLToPath(new URL('importer.ts', import.meta.url)), this.#args)
    child.on('message', () => this.connections++)
    child.on('exit', () => {
      if (!this.#stopped) this.#child = this.#start()
    })
    return child
  }
}
