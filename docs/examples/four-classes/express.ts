// `npm run build && npx tsx docs/examples/four-classes/express.ts`
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { cofferdam } from 'cofferdam/express'
import express from 'express'
import { budgets, type Portal } from './portal.js'
import { rehearse } from './rehearse.js'

async function serve({ registry, loadPage, loadArticle, loadComments, saveComment }: Portal) {
  const app = express()
  app.set('views', fileURLToPath(new URL('views', import.meta.url)))
  const guard = cofferdam({ registry, budgets, deadline: 2_000 })
  app.get('/ready', guard.ready())
  app.use(guard)

  const page = guard.budget('pages').wrap(async (request, response) => {
    response.render('article.ejs', await loadPage(String(request.params.id)))
  })
  app.get('/articles/:id', page)

  const callbacks = guard.budget('callbacks')
  app.get(
    '/ajax/comments/:id',
    callbacks.wrap(async (request, response) => {
      response.json(await loadComments(String(request.params.id)))
    }),
  )
  app.post(
    '/ajax/comments/:id',
    guard.requires('comments'),
    express.json(),
    callbacks.wrap(async (request, response) => {
      response.status(201).json(await saveComment(String(request.params.id)))
    }),
  )
  app.get(
    '/feeds/:id',
    guard.budget('feeds').wrap(async (request, response) => {
      response.json(await loadArticle(String(request.params.id)))
    }),
  )
  app.get(
    '/stats',
    guard.budget('stats').wrap((_request, response) => {
      response.json(budgets.usage())
    }),
  )
  app.use(guard.errors())

  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

process.exitCode = await rehearse(serve)
