import type { Request, Response } from 'express'
import type { OperatorExchange } from '../adapter.js'

type Trust = (address: string | undefined, hop: number) => boolean

/** A request of an operator's. */
export function exchangeOf(request: Request, response: Response): OperatorExchange<Request> {
  return {
    request,
    raw: request,
    response,
    own: `${request.protocol}://${hostOf(request)}`,
    // Without a parser, and on Express 4 with one for other types too, it is still to be read.
    body: request.readableDidRead ? (request.body as unknown) : request,
    send: ({ status, headers, body }) => {
      if (response.headersSent) return false
      response.status(status).set(headers).json(body)
      return true
    },
  }
}

/** With its port, which Express 4 drops from `hostname`; its `host` is deprecated. */
function hostOf(request: Request): string {
  const trust = request.app.get('trust proxy fn') as Trust
  const forwarded = trust(request.socket.remoteAddress, 0) ? request.get('x-forwarded-host') : undefined
  return forwarded?.split(',')[0]?.trim() ?? request.get('host') ?? ''
}
