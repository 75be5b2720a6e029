import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { freePort } from '../../../../test/support/servers/port.js'

/** A store that nobody takes for critical: it only has to be there. */
export class Archive {
  port = 0
  #server: Server | undefined
  readonly #sockets = new Set<Socket>()

  async start(): Promise<void> {
    this.port ||= await freePort()
    this.#server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket))
    })
    this.#server.listen(this.port, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(server, 'close')
  }
}
