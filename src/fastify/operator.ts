import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { OperatorHandler } from '../adapter.js'
import { OptionError } from '../index.js'

/** Operators act while every slot is taken, and a drain takes as long as it was given: their route has neither. */
const OPERATORS = Symbol('cofferdam.operators')

export function isOperators(route: FastifyRequest['routeOptions']): boolean {
  return OPERATORS in route.config
}

/** @throws OptionError (`ERR_OPTION`) for a prefix that is no path */
export function serveOperators(app: FastifyInstance, prefix: string, handler: OperatorHandler<FastifyRequest>): void {
  if (typeof prefix !== 'string' || !prefix.startsWith('/'))
    throw new OptionError('operator.prefix', 'must be a path, such as "/ops"')
  app.register(
    (inner, _options, done) => {
      // Unread: the handler has bounds of its own, and answers of its own for what is no JSON.
      inner.removeAllContentTypeParsers()
      inner.addContentTypeParser('*', (_request, payload, parsed) => {
        parsed(null, payload)
      })
      inner.all('/', { config: { [OPERATORS]: true } as object }, (request, reply) => {
        void handler.handle({
          request,
          raw: request.raw,
          response: reply.raw,
          own: `${request.protocol}://${request.host}`,
          body: request.body,
          send: ({ status, headers, body }) => {
            if (reply.sent) return false
            void reply.code(status).headers(headers).send(body)
            return true
          },
        })
      })
      done()
    },
    { prefix },
  )
  app.addHook('onClose', (_app, closed) => {
    handler.close()
    closed()
  })
}
