import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { Scope } from '../../../../src/adapter.js'
import { gate } from '../../gate.js'
import { ask, fetched, head, wire } from '../client.js'
import type { Driver, Exchange, Route } from '../driver.js'
import { until } from '../until.js'
import { held, world } from '../world.js'

const page = (handle: Route['handle'], method: Route['method'] = 'get'): Route[] => [
  { path: '/', method, budget: 'pages', handle },
]

/** However a request ends, its slot is free afterwards. */
export function releaseContract(driver: Driver): void {
  describe(`${driver.name}: a slot is free again`, () => {
    it('after an answer, also on a connection that stays open', async () => {
      const { site, idle, busy } = await world(driver, {
        routes: page((exchange) => {
          exchange.reply({ busy: busy() })
        }),
      })
      const { socket, received } = await wire(site)
      for (let i = 1; i <= 3; i++) {
        socket.write(head('/'))
        await until(() => received().split('{"busy":1}').length === i + 1, 'the answer has come')
        await idle()
      }
    })

    it('after HEAD', async () => {
      const { site, idle } = await world(driver, { routes: page((exchange) => exchange.reply('not sent')) })
      expect(await fetched(site, '/', { method: 'HEAD' })).toMatchObject({ status: 200, text: '' })
      await idle()
    })

    it('after 304', async () => {
      const { site, idle } = await world(driver, { routes: page((exchange) => exchange.reply(undefined, 304)) })
      expect(await fetched(site, '/')).toMatchObject({ status: 304, text: '' })
      await idle()
    })

    it('after a handler that throws', async () => {
      const { site, idle } = await world(driver, {
        routes: page(() => {
          throw new Error('at once')
        }),
      })
      expect((await fetched(site, '/')).status).toBe(500)
      await idle()
    })

    if (driver.catches)
      it('after a handler that rejects', async () => {
        const { site, idle } = await world(driver, {
          routes: page(async () => {
            await Promise.resolve()
            throw new Error('later')
          }),
        })
        expect((await fetched(site, '/')).status).toBe(500)
        await idle()
      })

    it('after a client has gone, once its handler has settled', async () => {
      const work = held()
      const { site, idle, busy } = await world(driver, { routes: page(work.handle) })
      const client = ask(site, '/')
      await work.reach(1)
      client.leave()
      await until(() => work.begun[0]!.signal.aborted, 'the server knows')
      expect(busy()).toBe(driver.follows ? 1 : 0)
      work.release()
      await idle()
    })

    it('after the client of a POST has gone, whose body was read', async () => {
      const work = held()
      const { site, idle, busy } = await world(driver, { routes: page(work.handle, 'post') })
      const client = ask(site, '/', { body: { name: 'x' } })
      await work.reach(1)
      expect(work.begun[0]!.exchange.body).toEqual({ name: 'x' })
      client.leave()
      await until(() => work.begun[0]!.signal.aborted, 'the server knows')
      expect(busy()).toBe(driver.follows ? 1 : 0)
      work.release()
      await idle()
    })

    it('after a stream', async () => {
      const { site, idle } = await world(driver, {
        routes: page((exchange) => exchange.stream(Readable.from([Buffer.from('a'), Buffer.from('b')]))),
      })
      expect(await fetched(site, '/')).toMatchObject({ status: 200, text: 'ab' })
      await idle()
    })

    it('after a stream that is never read to its end', async () => {
      const source = new Readable({ read: () => undefined })
      const { site, idle, busy } = await world(driver, { routes: page((exchange) => exchange.stream(source)) })
      const { socket, received } = await wire(site)
      socket.write(head('/'))
      source.push('begun')
      await until(() => received().includes('begun'), 'the stream has begun')
      expect(busy()).toBe(1)
      socket.destroy()
      await idle()
      expect(source.destroyed).toBe(true)
    })

    it('after two pipelined requests whose connection is destroyed', async () => {
      const work = held()
      const { site, idle, busy } = await world(driver, { routes: page(work.handle) })
      const { socket } = await wire(site)
      socket.write(head('/') + head('/'))
      await work.reach(2)
      expect(busy()).toBe(2)
      socket.destroy()
      await until(() => work.begun.every(({ signal }) => signal.aborted), 'both have learned')
      work.release()
      await idle()
    })

    it('or never taken, when its client has gone before its turn', async () => {
      const before = gate()
      const work = held()
      const scopes: Scope[] = []
      const { site, idle } = await world(driver, {
        routes: [
          {
            path: '/',
            budget: 'pages',
            before: () => {
              scopes.push(Scope.current()!)
              return before.promise
            },
            handle: work.handle,
          },
        ],
      })
      work.release()
      const client = ask(site, '/')
      await until(() => scopes.length === 1, 'its session is looked up')
      client.leave()
      await until(() => scopes[0]!.signal.aborted, 'the server knows')
      before.open()
      await new Promise((resolve) => setImmediate(resolve))
      await idle()
      expect(work.begun).toHaveLength(0)
      expect((await fetched(site, '/')).status).toBe(200)
      expect(work.begun).toHaveLength(1)
      await idle()
    })

    it('or never taken, when its deadline has passed before its turn', async () => {
      const before = gate()
      const work = held()
      let looked = 0
      const { site, clock, idle } = await world(driver, {
        routes: [
          {
            path: '/',
            budget: 'pages',
            before: () => (++looked, before.promise),
            handle: work.handle,
          },
        ],
        deadline: 1_000,
      })
      work.release()
      const client = ask(site, '/')
      await until(() => looked === 1, 'its session is looked up')
      await clock.advance(1_000)
      before.open()
      expect((await client.answer).status).toBe(504)
      await idle()
      expect(work.begun).toHaveLength(0)
    })

    it('at its deadline when the handler never answers, and by force after the grace when it never settles', async () => {
      const begun: Exchange[] = []
      const { site, clock, budgets, busy } = await world(driver, {
        routes: page((exchange) => {
          begun.push(exchange)
          return new Promise(() => undefined)
        }),
        deadline: 1_000,
        grace: 500,
      })
      const told: unknown[] = []
      budgets.on('reclaim', (reclaim) => told.push(reclaim))
      const client = ask(site, '/')
      await until(() => begun.length === 1, 'the handler runs')
      await clock.advance(999)
      expect(begun[0]!.raw.headersSent).toBe(false)
      await clock.advance(1)
      expect((await client.answer).status).toBe(504)
      if (driver.follows) {
        await clock.advance(499)
        expect(busy()).toBe(1)
        await clock.advance(1)
      }
      await until(() => busy() === 0, 'the slot is free')
      expect(budgets.usage().classes.pages!.reclaimed).toBe(driver.follows ? 1 : 0)
      expect(told).toEqual(driver.follows ? [{ class: 'pages' }] : [])
    })

    it('by force after the grace when a stream drips on and on', async () => {
      const source = new Readable({ read: () => undefined })
      const { site, clock, budgets, busy } = await world(driver, {
        routes: page((exchange) => exchange.stream(source)),
        deadline: 1_000,
        grace: 500,
      })
      const { socket, received } = await wire(site)
      socket.write(head('/'))
      source.push('drip')
      await until(() => received().includes('drip'), 'the stream has begun')
      await clock.advance(1_499)
      expect(busy()).toBe(1)
      await clock.advance(1)
      expect(busy()).toBe(0)
      expect(budgets.usage().classes.pages!.reclaimed).toBe(1)
      socket.destroy()
    })
  })
}
