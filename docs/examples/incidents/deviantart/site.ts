import { cofferdam, type ExpressGuard } from 'cofferdam/express'
import type { Registry } from 'cofferdam'
import express, { type Express, type RequestHandler } from 'express'
import type { Comment, Page } from './tables.js'

/** How a site gets at its data; all that differs between the two. */
export interface Data {
  nextId: () => Promise<string>
  saveComment: (comment: Comment) => Promise<void>
  readPage: (page: number) => Promise<Page>
}

/** Pages with comments under them. */
export function site(data: Data, registry?: Registry): Express {
  const app = express()
  app.disable('x-powered-by')
  const guard: ExpressGuard<never> | undefined = registry && cofferdam({ registry })
  if (guard) app.use(guard)
  const writable: RequestHandler[] = guard ? [guard.requires('comments')] : []

  app.get('/pages/:page', async (request, response) => {
    response.json(await data.readPage(Number(request.params['page'])))
  })
  app.post('/pages/:page', ...writable, express.json(), async (request, response) => {
    const { author, text } = request.body as { author: number; text: string }
    const id = Number(await data.nextId())
    await data.saveComment({ id, page: Number(request.params['page']), author, text })
    response.status(201).json({ id })
  })
  if (guard) app.use(guard.errors())
  return app
}
