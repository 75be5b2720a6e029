import { once } from 'node:events'
import websocket from '@fastify/websocket'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { Scope } from '../../src/adapter.js'
import { gate } from '../support/gate.js'
import { ask, fetched, head, wire } from '../support/web/client.js'
import { build, driverOf, listen, plain } from '../support/web/fastify.js'
import type { Driver } from '../support/web/driver.js'
import { until } from '../support/web/until.js'
import { held, world } from '../support/web/world.js'

async function message(socket: WebSocket): Promise<string> {
  const [data] = (await once(socket, 'message')) as [Buffer]
  return data.toString()
}

describe('a Fastify WebSocket', () => {
  for (const first of [true, false])
    it(`holds no slot, with @fastify/websocket loaded ${first ? 'before' : 'after'} the guard`, async () => {
      const scopes: unknown[] = []
      const driver: Driver = {
        name: 'Fastify 5',
        follows: true,
        catches: true,
        start: (options) => {
          const app = plain()
          if (first) app.register(websocket)
          build(app, options)
          if (!first) app.register(websocket)
          app.register((inner, _options, done) => {
            inner.get('/ws', { websocket: true, config: { budget: 'pages' } }, (socket) => {
              scopes.push(Scope.current())
              socket.on('message', (data: Buffer) => socket.send(`you said ${data.toString()}`))
            })
            done()
          })
          return listen(app)
        },
      }
      const work = held()
      const { site, busy, budgets, clock, idle } = await world(driver, {
        routes: [{ path: '/', budget: 'pages', handle: work.handle }],
        slots: 1,
        classes: { pages: { queue: 0 } },
        deadline: 1_000,
      })
      const sockets: WebSocket[] = []
      for (const name of ['one', 'two']) {
        const socket = new WebSocket(`ws://127.0.0.1:${site.port}/ws`)
        onTestFinished(() => socket.terminate())
        await once(socket, 'open')
        await until(() => busy() === 0, 'the slot is given back at the upgrade')
        socket.send(name)
        expect(await message(socket)).toBe(`you said ${name}`)
        sockets.push(socket)
      }
      // The deadline of the request is not the connection's.
      await clock.advance(20_000)
      sockets[0]!.send('still here')
      expect(await message(sockets[0]!)).toBe('you said still here')
      expect(scopes).toEqual([undefined, undefined])

      // But it needs one to be opened.
      const holding = ask(site, '/')
      await work.reach(1)
      const refused = new WebSocket(`ws://127.0.0.1:${site.port}/ws`)
      refused.on('error', () => undefined)
      const [, response] = (await once(refused, 'unexpected-response')) as [unknown, { statusCode: number }]
      expect(response.statusCode).toBe(503)
      refused.terminate()
      work.release()
      await holding.answer
      for (const socket of sockets) socket.close()
      await idle()
      expect(budgets.usage().classes.pages!.refused).toBe(1)
    })
})

describe('a hijacked Fastify reply', () => {
  for (const kind of ['sync', 'async'])
    it(`holds no slot, and is answered by nobody else (${kind} handler)`, async () => {
      let raw: import('node:http').ServerResponse | undefined
      const driver = driverOf(plain, (app) => {
        app.get('/mine', { config: { budget: 'pages' } }, (_request, reply) => {
          reply.hijack()
          raw = reply.raw
          return kind === 'async' ? Promise.resolve() : undefined
        })
      })
      const { site, clock, busy, idle } = await world(driver, { routes: [], deadline: 1_000 })
      const { socket, received } = await wire(site)
      socket.write(head('/mine'))
      await until(() => raw !== undefined, 'the handler has run')
      await until(() => busy() === 0, 'the slot is given back')
      await clock.advance(10_000)
      expect(raw!.headersSent).toBe(false)
      raw!.end('mine')
      await until(() => received().endsWith('mine'), 'its own answer has come')
      await idle()
    })
})

describe('Fastify inject', () => {
  it('gives slots back, whatever comes of the request', async () => {
    const app = plain()
    const driver = driverOf(() => app)
    const { idle, busy } = await world(driver, {
      routes: [
        { path: '/', budget: 'pages', handle: ({ reply }) => reply({ busy: busy() }) },
        { path: '/post', method: 'post', budget: 'pages', handle: async ({ reply, body }) => reply(await body) },
        {
          path: '/throws',
          budget: 'pages',
          handle: () => {
            throw new Error('thrown')
          },
        },
      ],
    })
    for (let i = 0; i < 3; i++) {
      expect((await app.inject('/')).json()).toEqual({ busy: 1 })
      expect((await app.inject({ method: 'HEAD', url: '/' })).statusCode).toBe(200)
      expect((await app.inject({ method: 'POST', url: '/post', payload: { a: 1 } })).json()).toEqual({ a: 1 })
      expect((await app.inject('/throws')).statusCode).toBe(500)
      expect((await app.inject('/nowhere')).statusCode).toBe(404)
      expect((await app.inject('/ready')).statusCode).toBe(200)
    }
    await idle()
  })

  it('is answered at the deadline', async () => {
    const app = plain()
    const never = held()
    const { clock, busy } = await world(
      driverOf(() => app),
      { routes: [{ path: '/', budget: 'pages', handle: never.handle }], deadline: 1_000 },
    )
    const answer = app.inject('/')
    await never.reach(1)
    await clock.advance(1_000)
    expect((await answer).statusCode).toBe(504)
    expect(busy()).toBe(1)
    never.release()
    await until(() => busy() === 0, 'the slot is given back')
  })
})

describe('a Fastify handler that returns a thenable', () => {
  it('holds its slot until that settles, also when its client has gone', async () => {
    const wait = gate()
    const signals: AbortSignal[] = []
    const driver = driverOf(plain, (app) => {
      app.get('/query', { config: { budget: 'pages' } }, (): PromiseLike<string> => {
        signals.push(Scope.current()!.signal)
        return { then: (...then) => wait.promise.then(() => 'rows').then(...then) }
      })
    })
    const { site, busy, idle } = await world(driver, { routes: [] })
    const client = ask(site, '/query')
    await until(() => signals.length === 1, 'the handler runs')
    client.leave()
    await until(() => signals[0]!.aborted, 'the server knows')
    expect(busy()).toBe(1)
    wait.open()
    await idle()
  })
})

describe('a connection to nowhere', () => {
  it('holds nothing: 404, a broken request, a client that says nothing', async () => {
    const { site, idle } = await world(driverOf(plain), { routes: [] })
    expect((await fetched(site, '/nowhere')).status).toBe(404)
    const broken = await wire(site)
    broken.socket.write('NONSENSE\r\n\r\n')
    await until(() => broken.received().includes('400'), 'it is refused')
    const silent = await wire(site)
    silent.socket.destroy()
    await idle()
  })
})
