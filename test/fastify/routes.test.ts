import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import fastify, { type FastifyInstance } from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Scope } from '../../src/adapter.js'
import { cofferdam, type FastifyGuardOptions } from '../../src/fastify/index.js'
import { createBudgets, createRegistry } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'
import { gate } from '../support/gate.js'

function made(options: Partial<FastifyGuardOptions> = {}) {
  const clock = new ManualClock()
  const registry = createRegistry({ clock })
  registry.dependency('ledger')
  const budgets = createBudgets({ slots: 5, classes: { pages: {}, callbacks: { maxWait: 400 } }, clock })
  const app = fastify()
  onTestFinished(() => app.close())
  return { clock, registry, budgets, app, options: { registry, budgets, deadline: 1_000, ...options } }
}

/** What boot says to a route of this config. */
async function boot(config: object): Promise<unknown> {
  const { app, options } = made()
  app.register(cofferdam, options)
  // An async plugin: what a callback one throws is nobody's to catch, and ends the process.
  app.register(async (inner) => {
    await Promise.resolve()
    inner.get('/x', { config }, () => 'x')
  })
  return app.ready().then(
    () => undefined,
    (error: unknown) => error,
  )
}

describe('what is wrong with a Fastify guard is told at boot', () => {
  for (const budget of ['ajaxx', '', '__proto__', 'constructor', 7, null, NaN])
    it(`a budget named ${JSON.stringify(budget)}`, async () => {
      expect(await boot({ budget })).toMatchObject({ code: 'ERR_OPTION', path: '/x.budget' })
    })

  for (const slots of [0, -1, NaN, '5', undefined])
    it(`a budget of its own with ${String(slots)} slots`, async () => {
      expect(await boot({ budget: { slots } })).toMatchObject({ code: 'ERR_OPTION' })
    })

  for (const deadline of [0, -1, NaN, 2 ** 31, '1000'])
    it(`a deadline of ${String(deadline)}`, async () => {
      expect(await boot({ deadline })).toMatchObject({ code: 'ERR_OPTION', path: '/x.deadline' })
    })

  for (const requires of ['ledger', ['ledgre'], ['__proto__']])
    it(`requires: ${JSON.stringify(requires)}`, async () => {
      expect(await boot({ requires })).toMatchObject({ code: 'ERR_OPTION', path: '/x.requires' })
    })

  it('a second registration', async () => {
    const { app, options } = made()
    app.register(cofferdam, options)
    app.register((inner, _options, done) => {
      inner.register(cofferdam, options)
      done()
    })
    await expect(app.ready()).rejects.toMatchObject({ code: 'ERR_OPTION' })
  })

  it('an unknown option', async () => {
    const { app, options } = made()
    app.register(cofferdam, { ...options, dedline: 1 } as FastifyGuardOptions)
    await expect(app.ready()).rejects.toMatchObject({ code: 'ERR_OPTION' })
  })

  it('and nothing is wrong with a good one', async () => {
    expect(await boot({ budget: 'pages', deadline: 500, requires: ['ledger'] })).toBeUndefined()
  })
})

describe('a Fastify route', () => {
  const classOf = (): { class: string | undefined } => ({ class: Scope.current()?.class })

  it('of readiness answers while every slot is taken: busy is not unready', async () => {
    const { app, options, budgets, clock } = made({ ready: '/ready' })
    await app.register(cofferdam, options)
    app.get('/x', classOf)
    // One is guaranteed to the other class.
    for (let i = 0; i < 4; i++) budgets.take('pages')
    const page = app.inject('/x')
    expect((await app.inject('/ready')).statusCode).toBe(200)
    expect((await app.inject({ url: '/ready', method: 'HEAD' })).statusCode).toBe(200)
    await clock.advance(250)
    expect((await page).statusCode).toBe(503)
  })

  it('without a budget is of the class that the budgets name for it', async () => {
    const { app, options } = made()
    await app.register(cofferdam, options)
    app.get('/x', classOf)
    expect((await app.inject('/x')).json()).toEqual({ class: 'pages' })
  })

  it('that was declared before the plugin was loaded is guarded all the same', async () => {
    const { app, options, registry, budgets } = made()
    app.get('/early', { config: { budget: 'callbacks', requires: ['ledger'] } }, classOf)
    app.get('/wrong', { config: { budget: 'ajaxx' as 'pages' } }, classOf)
    await app.register(cofferdam, options)
    expect((await app.inject('/early')).json()).toEqual({ class: 'callbacks' })
    expect((await app.inject('/wrong')).statusCode).toBe(500)
    registry.setMode('ledger', 'unavailable', { reason: 'moved' })
    expect((await app.inject('/early')).statusCode).toBe(503)
    expect(budgets.usage().busy).toBe(0)
  })

  it('has one budget of its own, for its HEAD too, also when it was declared before the plugin', async () => {
    const { app, options, budgets } = made()
    const config = { budget: { slots: 2 } }
    app.get('/early', { config: { budget: { slots: 2 } } }, classOf)
    await app.register(cofferdam, options)
    app.get('/one', { config }, classOf)
    app.get('/two', { config }, classOf)
    app.register(
      (inner, _options, done) => {
        inner.get('/', { config }, classOf)
        done()
      },
      { prefix: '/three' },
    )
    const seen = []
    for (const url of ['/one', '/two', '/three', '/three/', '/early'])
      for (const method of ['GET', 'HEAD', 'GET'] as const) {
        const answer = await app.inject({ url, method })
        expect(answer.statusCode).toBe(200)
        if (method === 'GET') seen.push(answer.json<{ class: string }>().class)
      }
    const routes = [1, 2, 3, 3, 4].map((n) => `route ${n}`)
    expect(seen).toEqual(routes.flatMap((route) => [route, route]))
    expect(Object.keys(budgets.usage().classes)).toEqual([
      'pages',
      'callbacks',
      'route 1',
      'route 2',
      'route 3',
      'route 4',
    ])
  })

  it('has its own deadline in place of the plugin\u2019s', async () => {
    const { app, options, clock } = made()
    await app.register(cofferdam, options)
    const wait = gate()
    const handler = async (): Promise<object> => {
      await wait.promise
      return { remaining: Scope.current()!.remaining }
    }
    app.get('/short', { config: { deadline: 500 } }, handler)
    app.get('/long', { config: { deadline: 3_000 } }, handler)
    const short = app.inject('/short')
    const long = app.inject('/long')
    await clock.advance(500)
    expect((await short).statusCode).toBe(504)
    await clock.advance(1_000)
    wait.open()
    expect((await long).json()).toEqual({ remaining: 1_500 })
  })

  it('is in its scope again after a body parser that left it', async () => {
    const { app, options } = made()
    await app.register(cofferdam, options)
    const seen: unknown[] = []
    app.addContentTypeParser('text/plain', (_request, payload, done) => {
      // The events of a request come from its connection, in no scope.
      payload.resume().once('end', () => {
        seen.push(Scope.current())
        done(null, 'read')
      })
    })
    app.post('/', { config: { budget: 'callbacks' } }, classOf)
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as AddressInfo
    const sent = request({ host: '127.0.0.1', port, method: 'POST', headers: { 'content-type': 'text/plain' } })
    const arrived = once(app.server, 'request')
    const answered = once(sent, 'response') as Promise<[IncomingMessage]>
    sent.write('ab')
    await arrived
    sent.end('cd')
    const [response] = await answered
    expect(await json(response)).toEqual({ class: 'callbacks' })
    expect(seen).toEqual([undefined])
  })

  it('has its error handler run in its own scope at the deadline', async () => {
    const { app, options, clock } = made()
    await app.register(cofferdam, options)
    app.setErrorHandler((_error, _request, reply) => reply.code(504).send({ class: Scope.current()?.class }))
    app.get('/pages', { config: { budget: 'pages' } }, () => new Promise(() => undefined))
    app.get('/callbacks', { config: { budget: 'callbacks' } }, () => new Promise(() => undefined))
    const answers = [app.inject('/pages'), app.inject('/callbacks')]
    await clock.advance(1_000)
    expect((await answers[0]!).json()).toEqual({ class: 'pages' })
    expect((await answers[1]!).json()).toEqual({ class: 'callbacks' })
  })

  it('whose handler returns a thenable runs it once, and holds its slot until it settles', async () => {
    const { app, options, budgets } = made()
    await app.register(cofferdam, options)
    let runs = 0
    const wait = gate()
    // As query builders do: each `then` runs the query.
    const query: PromiseLike<object> = {
      then: (onFulfilled, onRejected) => {
        runs++
        return wait.promise.then(() => ({ rows: 1 })).then(onFulfilled, onRejected)
      },
    }
    const handler = ((): unknown => query) as Parameters<FastifyInstance['get']>[1] & (() => never)
    app.get('/query', { config: { budget: 'pages' } }, handler)
    const answer = app.inject('/query')
    await new Promise((resolve) => setImmediate(resolve))
    expect(budgets.usage().busy).toBe(1)
    wait.open()
    expect((await answer).json()).toEqual({ rows: 1 })
    expect(runs).toBe(1)
    expect(budgets.usage().busy).toBe(0)
  })

  it('sees the registry that guards its app', async () => {
    const { app, options, registry } = made()
    await app.register(cofferdam, options)
    expect(app.cofferdam).toBe(registry)
  })
})
