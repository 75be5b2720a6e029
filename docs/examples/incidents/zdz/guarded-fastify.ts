import view from '@fastify/view'
import type { Registry } from 'cofferdam'
import { cofferdam } from 'cofferdam/fastify'
import ejs from 'ejs'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Budgets } from './guarded.js'
import { views } from './portal.js'
import type { Queries } from './queries.js'

interface ById {
  Params: { id: string }
}

export async function guardedFastify(registry: Registry, budgets: Budgets, queries: Queries): Promise<FastifyInstance> {
  const app = Fastify({ forceCloseConnections: true })
  await app.register(view, { engine: { ejs }, root: views })
  const operator = { prefix: '/ops', authorize: () => 'ada' }
  await app.register(cofferdam, { registry, budgets, deadline: 2_000, operator })
  app.get<ById>('/articles/:id', { config: { budget: 'pages' } }, async (request, reply) =>
    reply.viewAsync('page.ejs', { article: await queries.article(Number(request.params.id)) }),
  )
  app.post<ById>(
    '/ajax/comments/:id',
    { config: { budget: 'callbacks', requires: ['comments'] } },
    async (request, reply) => {
      await queries.saveComment(Number(request.params.id))
      return reply.code(201).send()
    },
  )
  app.get('/stats', { config: { budget: 'stats' } }, async () => ({ comments: await queries.countComments() }))
  app.get('/feed', { config: { budget: 'feeds' } }, () => queries.latest())
  return app
}
