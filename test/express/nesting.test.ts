import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Express, RequestHandler } from 'express'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Scope } from '../../src/adapter.js'
import { cofferdam, type ExpressGuard } from '../../src/express/index.js'
import { createBudgets, createRegistry, type Budgets } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'
import { ask, fetched, head, wire } from '../support/web/client.js'
import type { Site } from '../support/web/driver.js'
import { listening, majors } from '../support/web/express.js'
import { until } from '../support/web/until.js'
import { gate } from '../support/gate.js'

interface App {
  site: Site
  budgets: Budgets
  busy: (name: string) => number
}

async function serve(
  name: keyof typeof majors,
  set: (app: Express, guard: ExpressGuard<string>) => void,
  slots = 4,
): Promise<App> {
  const clock = new ManualClock()
  const budgets: Budgets = createBudgets({
    slots,
    classes: {
      pages: { guaranteed: 0, queue: 0 },
      callbacks: { guaranteed: 0, atMost: 1, queue: 0 },
      feeds: { guaranteed: 0, atMost: 1, queue: 1 },
    },
    clock,
  })
  const guard = cofferdam({ registry: createRegistry({ clock }), budgets, deadline: 1_000 })
  const app = majors[name]()
  app.use(guard)
  set(app, guard)
  app.use(guard.errors())
  const site = await listening(createServer(app), () => {
    guard.close()
  })
  onTestFinished(() => site.close())
  return { site, budgets, busy: (one) => budgets.usage().classes[one]!.busy }
}

for (const major of ['Express 5', 'Express 4'] as const)
  describe(`${major}: a budget inside another`, () => {
    for (const inner of ['middleware', 'wrap'] as const)
      it(`takes the slot over: the innermost wins, the outer one is free (${inner})`, async () => {
        const wait = gate()
        const classes: unknown[] = []
        const { site, budgets, busy } = await serve(major, (app, guard) => {
          const handler: RequestHandler = async (_request, response) => {
            classes.push(Scope.current()?.class)
            await wait.promise
            response.send('ok')
          }
          const router = majors[major].Router()
          const budget = guard.budget('callbacks')
          router.get('/x', ...(inner === 'wrap' ? [budget.wrap(handler)] : [budget, handler]))
          app.use('/ajax', guard.budget('pages'), router)
        })
        const first = ask(site, '/ajax/x')
        await until(() => classes.length === 1, 'the handler runs')
        expect(classes).toEqual(['callbacks'])
        expect([busy('pages'), busy('callbacks'), budgets.usage().busy]).toEqual([0, 1, 1])
        // The inner one has no slot left for a second: it is refused, and holds neither.
        const second = await fetched(site, '/ajax/x')
        expect(second.status).toBe(503)
        expect([busy('pages'), busy('callbacks')]).toEqual([0, 1])
        wait.open()
        expect((await first.answer).status).toBe(200)
        await until(() => budgets.usage().busy === 0, 'nothing is held')
      })

    it('of the same class keeps the slot that it has', async () => {
      const { site, budgets } = await serve(
        major,
        (app, guard) => {
          app.use(guard.budget('pages'))
          app.get(
            '/',
            guard.budget('pages').wrap((_request, response) => {
              response.send(String(budgets.usage().busy))
            }),
          )
        },
        1,
      )
      expect(await fetched(site, '/')).toMatchObject({ status: 200, text: '1' })
      await until(() => budgets.usage().busy === 0, 'nothing is held')
      expect(budgets.usage().classes.pages!.refused).toBe(0)
    })

    it('that waits in line holds no slot of the outer one meanwhile', async () => {
      const wait = gate()
      let running = 0
      const { site, budgets, busy } = await serve(major, (app, guard) => {
        const handler: RequestHandler = async (_request, response) => {
          running++
          await wait.promise
          response.send('ok')
        }
        app.get('/feed', guard.budget('pages'), guard.budget('feeds').wrap(handler))
      })
      const holding = ask(site, '/feed')
      await until(() => running === 1, 'the only slot of the inner one is held')
      const waiting = ask(site, '/feed')
      await until(() => budgets.usage().classes.feeds!.waiters === 1, 'a second waits')
      expect([busy('pages'), busy('feeds'), budgets.usage().busy]).toEqual([0, 1, 1])
      wait.open()
      expect((await holding.answer).status).toBe(200)
      expect((await waiting.answer).status).toBe(200)
      await until(() => budgets.usage().busy === 0, 'nothing is held')
      expect([busy('pages'), busy('feeds')]).toEqual([0, 0])
    })
  })

for (const major of ['Express 5', 'Express 4'] as const)
  describe(`${major}: a body parser that leaves the scope`, () => {
    for (const how of ['middleware', 'wrap'] as const)
      it(`leaves it only until the budget (${how})`, async () => {
        const seen: unknown[] = []
        const { site, budgets } = await serve(major, (app, guard) => {
          // The events of a request come from its connection, in no scope.
          app.use((request, _response, next) => {
            request.resume().once('end', () => {
              seen.push(Scope.current()?.class)
              next()
            })
          })
          const handler: RequestHandler = async (_request, response) => {
            await Promise.resolve()
            seen.push(Scope.current()?.class)
            response.send('ok')
          }
          const budget = guard.budget('feeds')
          app.post('/', ...(how === 'wrap' ? [budget.wrap(handler)] : [budget, handler]))
        })
        const { socket, received } = await wire(site)
        socket.write(head('/', { 'content-length': 4 }, 'POST') + 'ab')
        await until(() => budgets.usage().busy === 0, 'nothing is held')
        await new Promise((resolve) => setImmediate(resolve))
        socket.write('cd')
        await until(() => received().endsWith('ok'), 'it is answered')
        expect(seen).toEqual([undefined, 'feeds'])
      })
  })

for (const major of ['Express 5', 'Express 4'] as const)
  describe(`${major}: an upgrade`, () => {
    it('passes by the middleware, and holds nothing', async () => {
      const { site, budgets } = await serve(major, (app, guard) => {
        app.get(
          '/',
          guard.budget('pages').wrap((_request, response) => {
            response.send('ok')
          }),
        )
      })
      site.server.on('upgrade', (_request, socket) => {
        onTestFinished(() => void socket.destroy())
        socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n')
        socket.on('data', (data: Buffer) => socket.write(data))
      })
      const { socket, received } = await wire(site)
      socket.write(head('/', { connection: 'upgrade', upgrade: 'echo' }))
      await until(() => received().includes('101'), 'it is upgraded')
      socket.write('hello')
      await until(() => received().endsWith('hello'), 'it talks')
      expect(budgets.usage().busy).toBe(0)
      expect((await fetched(site, '/')).status).toBe(200)
      socket.destroy()
      await until(() => budgets.usage().busy === 0, 'nothing is held')
    })

    it('that nobody takes is a request like any other', async () => {
      const { site, budgets } = await serve(major, (app, guard) => {
        app.get(
          '/',
          guard.budget('pages').wrap((_request, response) => {
            response.send('ok')
          }),
        )
      })
      const { socket, received } = await wire(site)
      socket.write(head('/', { connection: 'upgrade', upgrade: 'echo' }))
      await until(() => received().endsWith('ok'), 'it is answered')
      const closed = once(socket, 'close')
      socket.destroy()
      await closed
      await until(() => budgets.usage().busy === 0, 'nothing is held')
    })
  })
