// `npm run build && npx tsx docs/examples/four-classes/fastify.ts`
import { fileURLToPath } from 'node:url'
import view from '@fastify/view'
import { cofferdam } from 'cofferdam/fastify'
import ejs from 'ejs'
import Fastify from 'fastify'
import { budgets, type Portal } from './portal.js'
import { rehearse } from './rehearse.js'

declare module 'cofferdam/fastify' {
  interface Register {
    budgets: typeof budgets
  }
}

interface ById {
  Params: { id: string }
}

async function serve({ registry, loadPage, loadArticle, loadComments, saveComment }: Portal) {
  const app = Fastify({ forceCloseConnections: true })
  await app.register(view, { engine: { ejs }, root: fileURLToPath(new URL('views', import.meta.url)) })
  await app.register(cofferdam, { registry, budgets, deadline: 2_000, ready: '/ready' })

  app.get<ById>('/articles/:id', { config: { budget: 'pages' } }, async (request, reply) =>
    reply.viewAsync('article.ejs', await loadPage(request.params.id)),
  )
  app.get<ById>('/ajax/comments/:id', { config: { budget: 'callbacks' } }, (request) => loadComments(request.params.id))
  app.post<ById>(
    '/ajax/comments/:id',
    { config: { budget: 'callbacks', requires: ['comments'] } },
    async (request, reply) => reply.code(201).send(await saveComment(request.params.id)),
  )
  app.get<ById>('/feeds/:id', { config: { budget: 'feeds', deadline: 500 } }, (request) =>
    loadArticle(request.params.id),
  )
  app.get('/stats', { config: { budget: 'stats' } }, () => budgets.usage())

  return { url: await app.listen({ port: 0, host: '127.0.0.1' }), stop: () => app.close() }
}

process.exitCode = await rehearse(serve)
