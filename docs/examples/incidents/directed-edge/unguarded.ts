import express from 'express'
import { answerErrors, type Store } from './store.js'

/** The service as it was. */
export function unguarded(store: Store): express.Express {
  const app = express()
  const disabledUntil = new Map<string, number>()

  // For who wants to be alone with an account; how long that takes, he has to know.
  app.post('/accounts/:name/disable', express.json(), (request, response) => {
    const { ms } = request.body as { ms: number }
    disabledUntil.set(request.params.name, performance.now() + ms)
    response.status(204).end()
  })
  app.use('/databases/:name', (request, response, next) => {
    if ((disabledUntil.get(request.params.name) ?? 0) > performance.now()) response.status(503).end()
    else next()
  })
  app.get('/databases/:name/:id', async (request, response) => {
    response.send(await store.read(request.params.name, Number(request.params.id)))
  })
  app.post('/databases/:name/:id', express.text(), async (request, response) => {
    await store.write(request.params.name, Number(request.params.id), String(request.body))
    response.status(201).end()
  })
  app.use(answerErrors)
  return app
}
