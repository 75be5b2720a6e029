import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Case, Effort, Subject } from './case.js'
import type { Reply, Request, Task } from './protocol.js'

const childFile = fileURLToPath(new URL('../child.ts', import.meta.url))
const patience = 120_000

/** A child that holds one subject, warm, and takes a figure when asked. One question at a time. */
export class SubjectProcess {
  private readonly label: string
  private readonly child: ChildProcess
  /** Its exit code once it has ended; `null` when a signal ended it. */
  private readonly exited: Promise<number | null>
  /** Rejects when it ends, whether or not anything is asked of it then. */
  private readonly failed: Promise<never>

  constructor(of: Case, subject: Subject, effort: Effort) {
    this.label = `${subject.name} in case ${of.name}`
    const task: Task = { caseName: of.name, subject: subject.name, points: subject.points ?? of.points, effort }
    this.child = fork(childFile, [JSON.stringify(task)], {
      execArgv: [...process.execArgv, ...(of.nodeFlags ?? [])],
    })
    this.exited = new Promise((resolve) => this.child.once('exit', resolve))
    this.failed = this.exited.then((code) => {
      throw new Error(`${this.label} ended with ${code ?? 'a signal'}`)
    })
    // Its failure is for whoever asks it something next, or finishes it.
    this.failed.catch(() => undefined)
  }

  async ready(): Promise<this> {
    await this.reply()
    return this
  }

  async figure(point: number): Promise<number> {
    const request: Request = { point }
    const answered = this.reply()
    this.child.send(request, () => undefined)
    const reply = await answered
    if (!('figure' in reply)) throw new Error(`${this.label} sent no figure`)
    return reply.figure
  }

  /** Lets it end, which it does with 0 if nothing went wrong in it, late rejections included. */
  async finish(): Promise<void> {
    if (this.child.connected) this.child.disconnect()
    if ((await this.exited) !== 0) await this.failed
  }

  kill(): void {
    this.child.kill()
  }

  private async reply(): Promise<Reply> {
    const { promise, stop } = this.message()
    try {
      return await Promise.race([promise, this.failed])
    } finally {
      stop()
    }
  }

  private message(): { promise: Promise<Reply>; stop: () => void } {
    const { child, label } = this
    let stop = (): void => undefined
    const promise = new Promise<Reply>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${label} did not answer in ${patience} ms`)), patience)
      child.once('message', resolve)
      stop = () => {
        clearTimeout(timer)
        child.off('message', resolve)
      }
    })
    return { promise, stop }
  }
}
