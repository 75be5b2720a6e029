import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A small service that answers, or hangs when it is told to. */
export interface Upstream {
  url: string
  hang(hangs: boolean): void
  stop(): void
}

export async function startUpstream(): Promise<Upstream> {
  let hangs = false
  const server: Server = createServer((request, response) => {
    if (!hangs) setTimeout(() => response.end(JSON.stringify({ path: request.url })), 5)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hang(now) {
      hangs = now
      if (!now) server.closeAllConnections()
    },
    stop() {
      server.closeAllConnections()
      server.close()
    },
  }
}
