/** An app instance. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ErrorRequestHandler } from 'express'
import { endWithParent } from '../../replay/child.js'
import { guarded } from './guarded.js'
import { unguarded } from './unguarded.js'

export interface Running {
  variant: 'unguarded' | 'guarded'
  /** Where its packages are installed, or will be. */
  directory: string
  /** The cache nodes. */
  nodes: readonly [string, string]
  /** The database's address. */
  source: string
}

export interface Report {
  port: number
}

const answerErrors: ErrorRequestHandler = (_error, _request, response, _next) => {
  response.status(500).end()
}

endWithParent()
const running = JSON.parse(process.argv[2]!) as Running
const app = running.variant === 'guarded' ? guarded(running) : unguarded(running)
app.use(answerErrors)
const server = createServer(app).listen(0, '127.0.0.1')
await once(server, 'listening')
process.send?.({ port: (server.address() as AddressInfo).port } satisfies Report)
