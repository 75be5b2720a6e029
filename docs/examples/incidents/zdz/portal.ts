import { fileURLToPath } from 'node:url'
import view from '@fastify/view'
import ejs from 'ejs'
import express, { type ErrorRequestHandler, type Express } from 'express'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Queries } from './queries.js'

export const views = fileURLToPath(new URL('views', import.meta.url))

/** What listens: a portal on either framework, or a peer's. */
export interface Listening {
  url: string
  stop: () => Promise<void>
}

/** The portal as it was, or with guards of another library around its queries: four kinds of route, one pool. */
export function expressPortal(queries: Queries): Express {
  const app = express()
  app.set('views', views)
  app.get('/articles/:id', async (request, response) => {
    response.render('page.ejs', { article: await queries.article(Number(request.params.id)) })
  })
  app.post('/ajax/comments/:id', async (request, response) => {
    await queries.saveComment(Number(request.params.id))
    response.status(201).end()
  })
  app.get('/stats', async (_request, response) => {
    response.json({ comments: await queries.countComments() })
  })
  app.get('/feed', async (_request, response) => {
    response.json(await queries.latest())
  })
  app.use(((_error, _request, response, _next) => {
    // Counted, not printed.
    response.status(500).end()
  }) satisfies ErrorRequestHandler)
  return app
}

/** The same on the other framework. */
export async function fastifyPortal(queries: Queries): Promise<FastifyInstance> {
  const app = Fastify({ forceCloseConnections: true })
  await app.register(view, { engine: { ejs }, root: views })
  app.get<{ Params: { id: string } }>('/articles/:id', async (request, reply) =>
    reply.viewAsync('page.ejs', { article: await queries.article(Number(request.params.id)) }),
  )
  app.post<{ Params: { id: string } }>('/ajax/comments/:id', async (request, reply) => {
    await queries.saveComment(Number(request.params.id))
    return reply.code(201).send()
  })
  app.get('/stats', async () => ({ comments: await queries.countComments() }))
  app.get('/feed', () => queries.latest())
  return app
}
