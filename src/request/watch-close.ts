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

/** A response carries its visit, so that all share one listener. */
const VISIT = Symbol('cofferdam.closing')

type Watched = ServerResponse & { [VISIT]?: Visit; [VISITS]?: Set<Visit> }

function closed(this: Watched): void {
  const visit = this[VISIT]!
  this[VISITS]?.delete(visit)
  visit.close(isAnswered(this) ? undefined : new ClientGone())
}

/**
 * Tells a visit when its response is closed. Listens to the response *and* its socket: on Node 20 a pipelined request
 * behind another gets no `close` of its own.
 */
export function watchClose(visit: Visit, request: IncomingMessage, response: ServerResponse): void {
  const watched = response as Watched
  watched[VISIT] = visit
  // `once` would wrap the listener and take it off again; a visit closes once, however often it is told to.
  response.on('close', closed)
  // Each response closes with its own stream there, while what is kept on the socket is shared by the whole session.
  if (request.httpVersionMajor > 1) return
  const visits = openOn(request.socket)
  visits.add(visit)
  watched[VISITS] = visits
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
