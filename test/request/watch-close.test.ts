import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { expect, it } from 'vitest'
import type { Visit } from '../../src/request/visit.js'
import { watchClose } from '../../src/request/watch-close.js'

/** A request on a connection, its response, and how often its visit was closed. */
function visited(socket: EventEmitter) {
  const response = Object.assign(new EventEmitter(), { writableFinished: true })
  const closed: unknown[] = []
  const visit = { close: (gone: unknown) => closed.push(gone) } as unknown as Visit
  watchClose(
    visit,
    { socket, httpVersionMajor: 1 } as unknown as IncomingMessage,
    response as unknown as ServerResponse,
  )
  return { response, closed }
}

it('a connection that is kept open keeps nothing of the requests that were answered on it', () => {
  const socket = new EventEmitter()
  const answered = Array.from({ length: 100 }, () => visited(socket))
  for (const { response } of answered) response.emit('close')
  const open = visited(socket)
  expect(socket.listenerCount('close')).toBe(1)
  const [kept] = Object.getOwnPropertySymbols(socket).filter(({ description }) => description === 'cofferdam.visits')
  expect((Reflect.get(socket, kept!) as Set<unknown>).size).toBe(1)
  socket.emit('close')
  expect(answered.map(({ closed }) => closed)).toEqual(answered.map(() => [undefined]))
  expect(open.closed).toEqual([expect.objectContaining({ code: 'ABORT_ERR' })])
})
