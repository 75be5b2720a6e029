import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Visit } from './visit.js'

/** A connection carries its open visits: pipelined requests share one listener. */
const VISITS = Symbol('cofferdam.visits')

interface Connection {
  [VISITS]?: Set<Visit>
}

class ClientGone extends Error {
  override readonly name = 'AbortError'
  readonly code = 'ABORT_ERR'

  constructor() {
    super('the client has gone')
  }
}

/**
 * Tells a visit when its response is closed. Listens to the response *and* its socket: on Node 20 a pipelined request
 * behind another gets no `close` of its own.
 */
export function watchClose(visit: Visit, request: IncomingMessage, response: ServerResponse): void {
  // Each response closes with its own stream under HTTP/2, while what is kept on the socket is the whole session's.
  const visits = request.httpVersionMajor > 1 ? undefined : openOn(request.socket)
  visits?.add(visit)
  // `once` would wrap the listener and take it off again; a visit closes once, however often it is told to. Nothing is
  // kept on the response: each property that it is given takes 2 µs.
  response.on('close', () => {
    visits?.delete(visit)
    visit.close(isAnswered(response) ? undefined : new ClientGone())
  })
}

function openOn(socket: Socket): Set<Visit> {
  const connection = socket as Connection
  if (connection[VISITS] !== undefined) return connection[VISITS]
  const visits = (connection[VISITS] = new Set<Visit>())
  socket.once('close', () => {
    for (const open of visits) open.close(new ClientGone())
  })
  return visits
}

/** Under HTTP/2 an aborted response emits `finish` all the same. */
export function isAnswered(response: ServerResponse & { stream?: { aborted?: boolean } }): boolean {
  return response.writableFinished && response.stream?.aborted !== true
}
