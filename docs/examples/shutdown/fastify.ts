// Leaves without losing a request: `npx tsx docs/examples/shutdown/fastify.ts`, then send it a SIGTERM.
import { createRegistry } from 'cofferdam'
import { cofferdam } from 'cofferdam/fastify'
import Fastify from 'fastify'
import { leaveOnSigterm } from './leave.js'

const registry = createRegistry()

const app = Fastify()
await app.register(cofferdam, { registry, deadline: 5_000, ready: '/ready' })
app.get('/slow', async () => {
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  return 'done\n'
})

console.log(await app.listen({ port: 0, host: '127.0.0.1' }))

leaveOnSigterm(registry, app.server, () => app.close())
