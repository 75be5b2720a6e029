import { cofferdam } from 'cofferdam/express'
import type { Registry } from 'cofferdam'
import express, { type Express } from 'express'
import type { Budgets } from './guarded.js'
import { views } from './portal.js'
import type { Queries } from './queries.js'

export function guardedExpress(registry: Registry, budgets: Budgets, queries: Queries): Express {
  const app = express()
  app.set('views', views)
  const guard = cofferdam({ registry, budgets, deadline: 2_000 })
  app.use('/ops', guard.operator({ authorize: () => 'ada' }))
  app.use(guard)
  app.get(
    '/articles/:id',
    guard.budget('pages').wrap(async (request, response) => {
      response.render('page.ejs', { article: await queries.article(Number(request.params['id'])) })
    }),
  )
  app.post(
    '/ajax/comments/:id',
    guard.requires('comments'),
    guard.budget('callbacks').wrap(async (request, response) => {
      await queries.saveComment(Number(request.params['id']))
      response.status(201).end()
    }),
  )
  app.get(
    '/stats',
    guard.budget('stats').wrap(async (_request, response) => {
      response.json({ comments: await queries.countComments() })
    }),
  )
  app.get(
    '/feed',
    guard.budget('feeds').wrap(async (_request, response) => {
      response.json(await queries.latest())
    }),
  )
  app.use(guard.errors())
  return app
}
