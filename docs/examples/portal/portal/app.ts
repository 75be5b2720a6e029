import { fileURLToPath } from 'node:url'
import express, { type Express, type Response } from 'express'
import { ago } from './ago.js'
import { HttpError } from './get-json.js'
import type { LoadPage, PageData } from './page-data.js'
import { limitWorkers } from './workers.js'

const folder = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** The portal's pages. Both variants are this app; only how they load a page differs. */
export function portalApp(variant: 'guarded' | 'unguarded', loadPage: LoadPage): Express {
  const app = express()
  app.set('view engine', 'ejs')
  app.set('views', folder('views'))
  app.enable('view cache')
  app.disable('x-powered-by')
  Object.assign(app.locals, { variant, ago, clockTime })

  app.use((_request, response, next) => {
    response.set({ 'content-security-policy': "default-src 'self'; img-src 'self' data:", 'cache-control': 'no-store' })
    next()
  })
  app.use(express.static(folder('public')))

  app.get('/', (_request, response) => {
    response.redirect('/articles/1')
  })
  app.get(
    '/articles/:id',
    limitWorkers(64, async (request, response) => {
      const started = performance.now()
      let page: PageData
      try {
        page = await loadPage(String(request.params['id']))
      } catch (error) {
        explain(error, response)
        return
      }
      response.render('page', { ...page, took: performance.now() - started })
    }),
  )
  app.use((_request, response) => {
    response.status(404).render('error', { message: 'There is no such page.' })
  })
  return app
}

function explain(error: unknown, response: Response): void {
  if (error instanceof HttpError && error.status === 404)
    response.status(404).render('error', { message: 'There is no such article.' })
  else response.status(503).render('error', { message: 'This article cannot be shown at the moment.' })
}

const clockTime = (at: Date | number): string => new Date(at).toTimeString().slice(0, 8)
