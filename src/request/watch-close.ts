import type { IncomingMessage, ServerResponse } from 'node:http'

/** What is told of the end: with an error when the client left before it had its answer. */
interface Watching {
  close(gone: Error | undefined): void
}

/** A connection carries its open visits: pipelined requests share one listener. */
const VISITS = Symbol('cofferdam.visits')

interface Connection {
  [VISITS]?: Set<Watching>
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
export function watchClose(visit: Watching, request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request
  const connection = socket as Connection
  response.once('close', () => {
    connection[VISITS]?.delete(visit)
    visit.close(isAnswered(response) ? undefined : new ClientGone())
  })
  // Each response closes with its own stream there, while what is kept on the socket is shared by the whole session.
  if (request.httpVersionMajor > 1) return
  if (connection[VISITS] === undefined) {
    const visits = (connection[VISITS] = new Set<Watching>())
    socket.once('close', () => {
      for (const open of visits) open.close(new ClientGone())
    })
  }
  connection[VISITS].add(visit)
}

/** Under HTTP/2 an aborted response emits `finish` all the same. */
function isAnswered(response: ServerResponse & { stream?: { aborted?: boolean } }): boolean {
  return response.writableFinished && response.stream?.aborted !== true
}
