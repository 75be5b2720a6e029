import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Behaviour } from './behaviour.js'

export interface Upstream {
  port: number
  behave: (behaviour: Behaviour) => void
}

/** A real HTTP server on a free loopback port, whose behaviour can be switched while it runs. */
export async function startUpstream(answer: (id: string) => unknown): Promise<Upstream> {
  let behaviour: Behaviour = 'healthy'
  let failures = 0
  const hanging = new Set<ServerResponse>()

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (behaviour === 'hang') {
      hanging.add(response)
      response.once('close', () => hanging.delete(response))
      return
    }
    if (behaviour === 'fail') {
      if (++failures % 2 === 0) request.socket.resetAndDestroy()
      else send(response, 500, { error: 'out of order' })
      return
    }
    await sleep(behaviour === 'slow' ? 1_500 : 5 + Math.random() * 15)
    const body = answer((request.url ?? '/').slice(1))
    if (body === undefined) send(response, 404, { error: 'not found' })
    else send(response, 200, body)
  }

  const server = createServer((request, response) => void handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    port: (server.address() as AddressInfo).port,
    behave(next) {
      behaviour = next
      // A process that hung is restarted in the end, and its connections are reset: whoever still waits learns it then.
      if (next !== 'hang') for (const response of hanging) response.socket?.resetAndDestroy()
    },
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
