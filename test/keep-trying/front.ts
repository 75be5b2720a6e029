import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Server } from '../support/servers/server.js'

/** What stands between clients and a server, and counts. */
export interface Front {
  readonly url: string
  /** Connections that were attempted. */
  readonly attempts: number
  /** The most of them at once that had neither an answer nor an end. */
  readonly most: number
}

/**
 * A front like a balancer, or like the network of a container that goes with its processes: when a client vanishes, the
 * server isn't told. It finds out by its keep-alive, which takes Redis minutes.
 */
export async function front(server: Server): Promise<Front> {
  const sockets = new Set<Socket>()
  const kept = (socket: Socket): Socket => {
    sockets.add(socket)
    return socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  }
  let [attempts, pending, most] = [0, 0, 0]
  const listener = createServer((client) => {
    attempts++
    most = Math.max(most, ++pending)
    let settled = false
    const settle = (): void => {
      if (!settled) pending--
      settled = true
    }
    const upstream = kept(connect(server.port, server.host))
    upstream.once('data', settle).pipe(kept(client))
    client.on('data', (data) => upstream.write(data)).on('close', settle)
    // It keeps what nobody is there for any more, and drops what comes for him.
    client.on('close', () => upstream.unpipe(client).resume())
    upstream.on('close', () => client.destroy())
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  return {
    url: `redis://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    get attempts() {
      return attempts
    },
    get most() {
      return most
    },
  }
}
