import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { openRedis, type Redis } from './threads.js'

const EVERY = 250
const PATIENCE = 2_000

/** Somebody who does nothing wrong: comes now and then, asks Redis something, and goes. Also counts who else is there. */
export class HealthyClient {
  /** What Redis answered; one that is down answers nothing. */
  served = 0
  /** Sent away because all places were taken. */
  refused = 0
  /** The most clients that Redis had at once. */
  most = 0
  readonly #port: number
  readonly #stopped = new AbortController()
  readonly #running: Promise<void>

  constructor({ port, url }: { port: number; url: string }) {
    this.#port = port
    // One that has its place already.
    this.#running = this.#run(openRedis(url))
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  async #run(observer: Redis): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await Promise.all([this.#come(), this.#count(observer)])
      await sleep(EVERY, undefined, { signal: this.#stopped.signal }).catch(() => undefined)
    }
    observer.destroy()
  }

  async #come(): Promise<void> {
    const answer = await ask(this.#port)
    if (answer.startsWith('+PONG')) this.served++
    else if (answer.startsWith('-ERR max number of clients reached')) this.refused++
  }

  async #count(observer: Redis): Promise<void> {
    const info = await observer.info('clients').catch(() => '')
    this.most = Math.max(this.most, Number(/connected_clients:(\d+)/.exec(info)?.[1] ?? 0))
  }
}

/** The first words that Redis says to somebody new; none when it is down. */
function ask(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (answer: string): void => {
      socket.destroy()
      resolve(answer)
    }
    socket
      .setTimeout(PATIENCE, () => end(''))
      .on('connect', () => socket.write('PING\r\n'))
      .on('data', (answer) => end(String(answer)))
      .on('error', () => end(''))
      .on('close', () => end(''))
  })
}
