import { once } from 'node:events'
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import fastify, { type FastifyInstance } from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { driverOf } from '../support/web/fastify.js'
import { until } from '../support/web/until.js'
import { held, world } from '../support/web/world.js'

describe('a Fastify route under HTTP/2', () => {
  // Typed by its own server; the guard sees the same interface.
  const http2 = driverOf(() => fastify({ http2: true, forceCloseConnections: true }) as unknown as FastifyInstance)

  it('gives its slot back after an answer, and its client has not gone then', async () => {
    const work = held()
    const { site, idle, busy } = await world(http2, { routes: [{ path: '/', budget: 'pages', handle: work.handle }] })
    const session = connect(`http://127.0.0.1:${site.port}`)
    onTestFinished(() => session.destroy())
    const stream = session.request({ ':path': '/' })
    stream.resume()
    await work.reach(1)
    expect(busy()).toBe(1)
    work.release()
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
    expect(headers[':status']).toBe(200)
    await idle()
    expect(work.begun[0]!.signal.aborted).toBe(false)
  })

  it('is not gone because another stream of its session has ended', async () => {
    const work = held()
    const { site, idle, busy } = await world(http2, { routes: [{ path: '/', budget: 'pages', handle: work.handle }] })
    const session = connect(`http://127.0.0.1:${site.port}`)
    onTestFinished(() => session.destroy())
    const streams = [1, 2].map(() => session.request({ ':path': '/' }).resume())
    await work.reach(2)
    work.begun[0]!.open()
    await once(streams[0]!, 'close')
    await until(() => busy() === 1, 'the first is over')
    expect(work.begun[1]!.signal.aborted).toBe(false)
    work.release()
    await once(streams[1]!, 'close')
    await idle()
    expect(work.begun[1]!.signal.aborted).toBe(false)
  })

  for (const [what, go] of [
    ['a stream is cancelled', (_session, stream) => stream.close(constants.NGHTTP2_CANCEL)],
    ['the session is destroyed', (session) => session.destroy()],
  ] as [string, (session: ClientHttp2Session, stream: ClientHttp2Stream) => void][])
    it(`gives its slot back once its handler has settled when ${what}, and knows that the client has gone`, async () => {
      const work = held()
      const { site, idle, busy } = await world(http2, { routes: [{ path: '/', budget: 'pages', handle: work.handle }] })
      const session = connect(`http://127.0.0.1:${site.port}`)
      session.on('error', () => undefined)
      onTestFinished(() => session.destroy())
      const stream = session.request({ ':path': '/' })
      stream.on('error', () => undefined)
      await work.reach(1)
      go(session, stream)
      await until(() => work.begun[0]!.signal.aborted, 'the server knows')
      expect(work.begun[0]!.signal.reason).toMatchObject({ name: 'AbortError' })
      expect(busy()).toBe(1)
      work.release()
      await idle()
    })
})
