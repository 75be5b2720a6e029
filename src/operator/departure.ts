import type { IncomingMessage, ServerResponse } from 'node:http'
import { isAnswered } from '../request/watch-close.js'

/** Whether an operator is still there to have his answer. */
export class Departure {
  readonly #controller = new AbortController()
  #sent = false

  /** Listens to the socket too: on Node 20 a pipelined request behind another gets no `close` of its own. */
  constructor(request: IncomingMessage, response: ServerResponse) {
    const { socket } = request
    const closed = (): void => {
      socket.off('close', closed)
      // An answer of somebody else's, such as a time-out's, has told him nothing of ours.
      if (!this.#sent || !isAnswered(response)) this.#controller.abort()
    }
    response.once('close', closed)
    if (request.httpVersionMajor === 1) socket.once('close', closed)
    if (response.closed) closed()
  }

  /** Aborts when he has gone without it. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** @returns whether it was sent; if not, he is as good as gone */
  answer(send: () => boolean): boolean {
    try {
      this.#sent = !this.signal.aborted && send()
    } finally {
      if (!this.#sent) this.#controller.abort()
    }
    return this.#sent
  }
}
