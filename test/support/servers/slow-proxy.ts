import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** Stands before a server, and lets what that replies wait. */
export class SlowProxy {
  /** Ms that each reply is held back. */
  delay = 0
  readonly port: number
  readonly #server: ReturnType<typeof createServer>
  readonly #sockets: Set<Socket>

  private constructor(server: ReturnType<typeof createServer>, sockets: Set<Socket>) {
    this.#server = server
    this.#sockets = sockets
    this.port = (server.address() as AddressInfo).port
  }

  static async before(port: number): Promise<SlowProxy> {
    const sockets = new Set<Socket>()
    const server = createServer((client) => {
      const upstream = connect(port, '127.0.0.1')
      for (const socket of [client, upstream]) {
        sockets.add(socket)
        socket.on('error', () => undefined)
      }
      client.on('close', () => upstream.destroy())
      upstream.on('close', () => client.destroy())
      client.pipe(upstream)
      // A chunk behind a slow one waits for it, or replies would change places.
      let last = Promise.resolve()
      upstream.on('data', (chunk) => {
        const { delay } = proxy
        const due = delay === 0 ? undefined : new Promise<void>((resolve) => setTimeout(resolve, delay))
        last = Promise.all([last, due]).then(() => void client.write(chunk))
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const proxy = new SlowProxy(server, sockets)
    return proxy
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}
