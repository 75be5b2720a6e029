import type { AddressInfo } from 'node:net'
import type { Http2Server } from 'node:http2'
import type { Server } from 'node:http'
import type { Readable } from 'node:stream'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { cofferdam } from '../../../src/fastify/index.js'
import type { Snapshot } from '../../../src/index.js'
import type { Driver, Exchange, Site, SiteOptions } from './driver.js'

/** Puts the plugin and the routes on an app. */
export function build(app: FastifyInstance, { routes, ownErrors = false, ...options }: SiteOptions): FastifyInstance {
  app.register(cofferdam, { ...options, ready: '/ready' })
  if (ownErrors)
    app.setErrorHandler((error: { statusCode?: number }, _request, reply) =>
      reply.code(error.statusCode ?? 500).send({ own: true }),
    )
  app.register((inner, _options, done) => {
    for (const { path, method = 'get', budget, requires, before, handle } of routes) {
      const config = { ...(budget === undefined ? {} : { budget }), ...(requires === undefined ? {} : { requires }) }
      const first = before === undefined ? {} : { onRequest: () => before() }
      inner[method](path, { config, ...first }, (request, reply) => {
        const exchange = exchangeOf(request, reply)
        const result = handle(exchange)
        // Fastify wants the reply back from an async handler that has used it.
        if (result instanceof Promise) return result.then(() => (exchange.used ? reply : undefined))
        return undefined
      })
    }
    done()
  })
  return app
}

export const plain = (): FastifyInstance => fastify({ forceCloseConnections: true })

/** A driver of an app of a kind, with routes of its own kind. */
export function driverOf(make: () => FastifyInstance, more: (app: FastifyInstance) => void = () => undefined): Driver {
  return {
    name: 'Fastify 5',
    follows: true,
    catches: true,
    start: (options) => {
      const app = build(make(), options)
      app.register((inner, _options, done) => {
        more(inner)
        done()
      })
      return listen(app)
    },
  }
}

/** Starts listening on a free port of the loopback. */
export async function listen(app: FastifyInstance): Promise<Site> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const server: Server | Http2Server = app.server
  return { server, port: (server.address() as AddressInfo).port, close: () => app.close() }
}

export const fastifyDriver = driverOf(plain)

function exchangeOf(request: FastifyRequest, reply: FastifyReply): Exchange & { used: boolean } {
  const exchange = {
    used: false,
    get health() {
      const { locals } = reply as unknown as { locals: { health: Snapshot } }
      if (locals.health !== request.health) throw new Error('templates see another snapshot')
      return locals.health
    },
    body: request.body,
    headers: request.headers,
    raw: reply.raw,
    reply: (payload: unknown, status = 200) => {
      exchange.used = true
      void reply.code(status).send(payload)
    },
    stream: (source: Readable) => {
      exchange.used = true
      void reply.send(source)
    },
  }
  return exchange
}
