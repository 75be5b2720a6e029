import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Account } from './account.js'
import { answered } from './answer.js'
import { alive, descendants, signal } from './family.js'
import { guard, type Guardian } from './guardian.js'
import { locate, type Part } from './parts.js'
import { freePort } from './port.js'

/** A server's own options, after ours, so that they win. */
export interface ServerOptions {
  readonly args?: readonly string[]
}

/** Where a server works. */
export interface Place {
  readonly program: string
  /** Everything that it writes; gone when it is stopped. */
  readonly directory: string
  readonly as: Account | undefined
}

/** What sets one kind of server apart. */
export interface Kind {
  readonly part: Part
  readonly as: Account | undefined
  /** Before the first start. */
  readonly prepare?: (place: Place) => Promise<void>
  readonly args: (directory: string, port: number) => readonly string[]
  readonly question: string
  /** Whether the answer is that of a server that is ready, and of this one. */
  readonly ready: (answer: string, pid: number, directory: string) => boolean
  /** Ends it in good order. */
  readonly leave: NodeJS.Signals
  /** Ends it at once; nobody needs its data any more. */
  readonly quit: NodeJS.Signals
  /** What a crash left outside its directory. */
  readonly tidy?: (directory: string) => void
  readonly url: (port: number) => string
}

// Only there to end what has failed: this machine may be busy.
const patience = 60_000

/** A real server of one's own. */
export class Server {
  readonly host = '127.0.0.1'
  /** Its data and its log. */
  readonly directory: string
  readonly #kind: Kind
  readonly #program: string
  readonly #guardian: Guardian
  #port = 0
  #child!: ChildProcess

  private constructor(kind: Kind, program: string) {
    this.#kind = kind
    this.#program = program
    this.directory = mkdtempSync(join(tmpdir(), `cofferdam-${kind.part}-`))
    this.#guardian = guard(this.directory, kind.quit)
    if (kind.as !== undefined) chownSync(this.directory, kind.as.uid, kind.as.gid)
  }

  /** Starts one in a directory of its own, on a free port, and waits until it answers. */
  static async start(kind: Kind): Promise<Server> {
    const program = locate(kind.part)
    if (program === undefined) throw new Error(`${kind.part} is not installed`)
    const server = new Server(kind, program)
    try {
      await kind.prepare?.({ program, directory: server.directory, as: kind.as })
      await server.#begin(freePort)
    } catch (error) {
      await server.stop()
      throw error
    }
    return server
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return this.#kind.url(this.port)
  }

  /** Another one after each restart. */
  get pid(): number {
    return this.#child.pid!
  }

  /** Ends it and removes its directory. */
  async stop(): Promise<void> {
    await this.kill(this.#kind.quit)
    this.#kind.tidy?.(this.directory)
    this.#guardian.release()
    await rm(this.directory, { recursive: true, force: true, maxRetries: 10 })
  }

  /** Ends it; port and data stay. By default it goes as in a crash, with all of its processes. */
  async kill(name: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.#running()) return
    if (name === 'SIGKILL') this.pause()
    else this.resume()
    const everyone = this.#everyone()
    for (const pid of name === 'SIGKILL' ? everyone : [this.pid]) signal(pid, name)
    if (!(await within(patience, () => !everyone.some(alive)))) {
      for (const pid of everyone) signal(pid, 'SIGKILL')
      throw new Error(`${this.#kind.part} did not end on ${name}${this.#lastWords()}`)
    }
    this.#child.ref()
    if (this.#running()) await once(this.#child, 'exit')
  }

  /** Starts it on the same port and data; one that still runs is ended first, in good order. */
  async restart(): Promise<void> {
    await this.kill(this.#kind.leave)
    await this.#begin(() => this.#port)
  }

  /** It hangs: its connections stay open and nothing answers. */
  pause(): void {
    if (!this.#running()) return
    // Itself first, or it could have another child while they are counted.
    signal(this.pid, 'SIGSTOP')
    for (const pid of this.#everyone()) signal(pid, 'SIGSTOP')
  }

  resume(): void {
    for (const pid of this.#everyone()) signal(pid, 'SIGCONT')
  }

  #everyone(): number[] {
    return this.#running() ? [this.pid, ...descendants(this.pid)] : []
  }

  #running(): boolean {
    const child = this.#child as ChildProcess | undefined
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null
  }

  /** Somebody else may take a port in the moment before the server does. */
  async #begin(choose: () => number | Promise<number>): Promise<void> {
    for (let tries = 5; ; tries--) {
      this.#port = await choose()
      if (await this.#launch()) return
      const words = this.#lastWords()
      if (tries === 0 || !/in use/i.test(words)) throw new Error(`${this.#kind.part} did not start${words}`)
      await sleep(200)
    }
  }

  /** Whether it came to answer. */
  async #launch(): Promise<boolean> {
    const { as, args, question, ready } = this.#kind
    const log = openSync(join(this.directory, 'log'), 'w')
    const child = spawn(this.#program, args(this.directory, this.port), {
      cwd: this.directory,
      stdio: ['ignore', log, log],
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      ...as,
    })
    closeSync(log)
    this.#child = child
    await once(child, 'spawn')
    // A program that forgets to stop it can end all the same.
    child.unref()
    this.#guardian.holds(child.pid)
    child.on('exit', () => this.#guardian.holds(undefined))
    const hoped = (answer: string): boolean => ready(answer, this.pid, this.directory)
    let came = false
    await within(patience, async () => {
      came = await answered(this.port, question, hoped)
      return came || !this.#running()
    })
    return came
  }

  #lastWords(): string {
    try {
      return `:\n${readFileSync(join(this.directory, 'log'), 'utf8').split('\n').slice(-10).join('\n')}`
    } catch {
      return ''
    }
  }
}

/** Polls until it holds; false when it didn't in that time. */
async function within(ms: number, holds: () => boolean | Promise<boolean>): Promise<boolean> {
  const end = performance.now() + ms
  while (!(await holds())) {
    if (performance.now() > end) return false
    await sleep(10)
  }
  return true
}
