import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import express5, { type ErrorRequestHandler, type Request, type RequestHandler, type Response } from 'express'
import { cofferdam, type ExpressGuard } from '../../../src/express/index.js'
import type { Snapshot } from '../../../src/index.js'
import type { Driver, Exchange, Route, Site, SiteOptions } from './driver.js'

/** The alias has no types of its own; what is used of it here is the same in both. */
const express4 = createRequire(import.meta.url)('express4') as typeof express5

/** Both majors, by name. */
export const majors = { 'Express 5': express5, 'Express 4': express4 }

function driver(name: keyof typeof majors, follows: boolean): Driver {
  const express = majors[name]
  const start = async ({ routes, ownErrors = false, ...options }: SiteOptions): Promise<Site> => {
    const app = express()
    const guard = cofferdam<string>(options)
    app.get('/ready', guard.ready())
    app.use(guard)
    for (const route of routes)
      app[route.method ?? 'get'](route.path, express.json({ limit: '2mb' }), ...handlers(guard, route, follows))
    app.use(ownErrors ? knowingNothing : guard.errors())
    return listening(createServer(app), () => {
      guard.close()
    })
  }
  return {
    name: follows ? name : `${name}, plain middleware`,
    follows,
    catches: follows || name === 'Express 5',
    start,
  }
}

/** The budget around the handler. */
export const express5Driver = driver('Express 5', true)
export const express4Driver = driver('Express 4', true)
/** The budget before the handler, which then isn't followed. */
export const express5Plain = driver('Express 5', false)
export const express4Plain = driver('Express 4', false)

/** Starts listening on a free port of the loopback. */
export async function listening(server: Server, letGo: () => void): Promise<Site> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    server,
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
      letGo()
    },
  }
}

function handlers(guard: ExpressGuard<string>, route: Route, follows: boolean): RequestHandler[] {
  const handler = (request: Request, response: Response): unknown => route.handle(exchangeOf(request, response))
  const before: RequestHandler[] = route.requires === undefined ? [] : [guard.requires(...route.requires)]
  if (route.before !== undefined) before.push((_request, _response, next) => void route.before!().then(() => next()))
  if (route.budget === undefined) return [...before, handler]
  const budget = guard.budget(route.budget)
  return follows ? [...before, budget.wrap(handler)] : [...before, budget, handler]
}

function exchangeOf(request: Request, response: Response): Exchange {
  return {
    get health() {
      return response.locals.health as Snapshot
    },
    body: request.body as unknown,
    headers: request.headers,
    raw: response,
    reply: (payload, status = 200) => void response.status(status).send(payload),
    stream: (source) => {
      response.once('close', () => source.destroy())
      source.pipe(response)
    },
  }
}

const knowingNothing: ErrorRequestHandler = (error: { status?: number }, _request, response, next) => {
  if (response.headersSent) next(error)
  else response.status(error.status ?? 500).json({ own: true })
}
