import type { FastifyReply } from 'fastify'
import type { Visit } from '../adapter.js'

/** An upgraded connection has no response that would close. */
export function releaseAtHijack(visit: Visit, reply: FastifyReply): void {
  const hijack = reply.hijack.bind(reply)
  reply.hijack = () => {
    visit.hijacked()
    return hijack()
  }
}

/**
 * For HTTP/2. A handler that gives its reply back settles with it, and there a reply whose client had gone before it was
 * sent is never over: neither is it `sent`, nor does anything come after the `close` that has been. Its slot would be
 * held until it is reclaimed.
 */
export function settleOnceClosed(reply: FastifyReply): void {
  const { stream } = reply.raw as unknown as { stream: { closed: boolean } }
  const then = reply.then.bind(reply)
  reply.then = (fulfilled, rejected) => {
    if (stream.closed) fulfilled()
    else then(fulfilled, rejected)
  }
}
