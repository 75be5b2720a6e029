// Leaves without losing a request: `npx tsx docs/examples/shutdown/express.ts`, then send it a SIGTERM.
import type { AddressInfo } from 'node:net'
import { createRegistry } from 'cofferdam'
import { cofferdam } from 'cofferdam/express'
import express from 'express'
import { leaveOnSigterm } from './leave.js'

const registry = createRegistry()
const guard = cofferdam({ registry, deadline: 5_000 })

const app = express()
app.get('/ready', guard.ready())
app.use(guard)
app.get('/slow', async (_request, response) => {
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  response.send('done\n')
})

const server = app.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})

leaveOnSigterm(registry, server, () => new Promise((resolve) => server.close(resolve)))
