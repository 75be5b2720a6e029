import { once } from 'node:events'
import { connect } from 'node:http2'
import { text } from 'node:stream/consumers'
import fastify from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { cofferdam } from '../../src/fastify/index.js'
import { createRegistry } from '../../src/index.js'
import { operatorContract } from '../support/web/contract/operator.js'
import { listen } from '../support/web/fastify.js'
import { fastifyStation } from '../support/web/operators.js'

operatorContract(fastifyStation)

describe('Fastify: the route of operators', () => {
  const authorize = () => 'ada'

  it.each(['', 'ops', undefined])('is a path, not %j', async (prefix) => {
    const app = fastify()
    app.register(cofferdam, { registry: createRegistry(), operator: { prefix: prefix as string, authorize } })
    await expect(app.ready()).rejects.toMatchObject({ code: 'ERR_OPTION', path: 'operator.prefix' })
  })

  it('is there with a slash too, and leaves other routes their parsers', async () => {
    const app = fastify()
    await app.register(cofferdam, { registry: createRegistry(), operator: { prefix: '/ops', authorize } })
    app.post('/echo', (request) => request.body)
    const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload })
    expect((await post('/ops/', { action: 'enable', name: 'feed' })).statusCode).toBe(404)
    expect((await post('/ops/more', {})).json()).toMatchObject({ error: 'Not Found' })
    expect((await post('/echo', { a: 1 })).json()).toEqual({ a: 1 })
  })

  it('is served under HTTP/2, where a drain ends with its stream', async () => {
    const registry = createRegistry()
    const feed = registry.dependency('feed')
    const app = fastify({ http2: true })
    app.register(cofferdam, { registry, operator: { prefix: '/ops', authorize } })
    const site = await listen(app as never)
    const session = connect(`http://127.0.0.1:${site.port}`)
    onTestFinished(async () => {
      session.destroy()
      await site.close()
    })
    const send = (body: object, origin = `http://127.0.0.1:${site.port}`) => {
      const stream = session.request({ ':method': 'POST', ':path': '/ops', 'content-type': 'application/json', origin })
      stream.end(JSON.stringify(body))
      return stream
    }
    const act = async (...given: Parameters<typeof send>) => {
      const stream = send(...given)
      const [headers] = (await once(stream, 'response')) as [{ ':status': number }]
      return [headers[':status'], JSON.parse(await text(stream)) as object]
    }
    const note = { action: 'note', name: 'feed', text: 'x' }
    expect(await act(note)).toEqual([200, { ok: true, modes: { feed: 'available' } }])
    expect((await act(note, 'http://evil.example'))[0]).toBe(403)
    expect((await act({ ...note, text: 'x'.repeat(20_000) }))[0]).toBe(413)

    let end!: () => void
    const drained = new Promise<void>((resolve) => {
      registry.on('flip', ({ mode }) => {
        if (mode === 'unavailable') resolve()
      })
    })
    const released = new Promise<void>((resolve) => {
      registry.on('flip', ({ mode }) => {
        if (mode === 'available') resolve()
      })
    })
    const work = feed.run(() => new Promise<void>((resolve) => (end = resolve)))
    const stream = send({ action: 'drain', name: 'feed', reason: 'repair', timeout: 60_000 })
    await drained
    stream.close()
    await released
    end()
    await work
  })
})
