import type { RequestHandler } from 'express'

/**
 * A web tier has a limit: threads, worker processes, or what the proxy in front lets through to one instance.
 * A worker is free again when its handler has ended; that the visitor has gone in the meantime frees nothing.
 */
export function limitWorkers(
  workers: number,
  handler: (...args: Parameters<RequestHandler>) => Promise<void>,
): RequestHandler {
  let busy = 0
  return async (request, response, next) => {
    if (busy >= workers) {
      response.status(503).render('error', { message: `All ${workers} workers are busy.` })
      return
    }
    busy++
    try {
      await handler(request, response, next)
    } finally {
      busy--
    }
  }
}
