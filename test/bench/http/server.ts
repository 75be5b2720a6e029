// One hello server, in a process of its own: bare; with nothing but a request scope, which is the least that a guard can
// cost; or with scope, budget and health.
import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createBudgets, createRegistry } from 'cofferdam'
import { cofferdam as guardExpress } from 'cofferdam/express'
import { cofferdam as guardFastify } from 'cofferdam/fastify'
import express from 'express'
import Fastify from 'fastify'

const registry = createRegistry()
registry.dependency('feed')
const budgets = createBudgets({ slots: 200, classes: { pages: { guaranteed: 50 }, stats: { atMost: 20 } } })
const hello = { hello: 'world' }
const scopes = new AsyncLocalStorage<object>()

type Variant = 'bare' | 'scope' | 'guarded'

async function onExpress(variant: Variant): Promise<string> {
  const app = express()
  if (variant === 'scope')
    app.use((_request, _response, next) => {
      scopes.run({}, next)
    })
  if (variant === 'guarded') {
    const guard = guardExpress({ registry, budgets, deadline: 5_000 })
    app.use(guard)
    app.get(
      '/',
      guard.budget('pages').wrap(async (_request, response) => {
        response.json(hello)
      }),
    )
  } else
    app.get('/', async (_request, response) => {
      response.json(hello)
    })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function onFastify(variant: Variant): Promise<string> {
  const app = Fastify()
  if (variant === 'scope')
    app.addHook('onRequest', (_request, _reply, next) => {
      scopes.run({}, next)
    })
  if (variant === 'guarded') await app.register(guardFastify, { registry, budgets, deadline: 5_000 })
  app.get('/', { config: variant === 'guarded' ? { budget: 'pages' } : {} }, async () => hello)
  return app.listen({ port: 0, host: '127.0.0.1' })
}

const [framework, variant] = process.argv.slice(2)
const url = await (framework === 'express' ? onExpress : onFastify)(variant as Variant)
process.on('message', () => process.send!({ cpu: process.cpuUsage() }))
process.on('disconnect', () => process.exit())
process.send!({ url })
