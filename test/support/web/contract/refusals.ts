import { describe, expect, it } from 'vitest'
import type { Registry } from '../../../../src/index.js'
import { ask, fetched, head, wire, type Answer } from '../client.js'
import type { Driver, Route } from '../driver.js'
import { until } from '../until.js'
import { held, world, type Held, type World } from '../world.js'

/** Names that no client may see: of the class, of the dependency, of the library, of its codes and of files. */
const INTERNAL = /vaults|ledger|cofferdam|slot|budget|paused|stack|\.ts|node_modules|operator|ERR_/i

const ledger = (registry: Registry): void => {
  registry.dependency('ledger')
}

function whole(status: number, answer: Answer): void {
  expect(answer.status).toBe(status)
  expect(answer.text).not.toMatch(INTERNAL)
  for (const [name, value] of Object.entries(answer.headers))
    if (name !== 'date') expect(`${name}: ${String(value)}`).not.toMatch(INTERNAL)
}

function retryAfter(answer: Answer): number {
  const value = answer.headers['retry-after']
  expect(value).toMatch(/^[1-9]\d*$/)
  return Number(value)
}

/** What a client is told that can't be served. */
export function refusalsContract(driver: Driver): void {
  const full = async (
    options: { random?: () => number; ownErrors?: boolean } = {},
  ): Promise<World & { work: Held }> => {
    const work = held()
    const made = await world(driver, {
      routes: [{ path: '/', budget: 'vaults', handle: work.handle }],
      slots: 1,
      classes: { vaults: { queue: 0 } },
      ...options,
    })
    void ask(made.site, '/')
    await work.reach(1)
    return { ...made, work }
  }
  const failing = (handle: Route['handle'], ownErrors: boolean): Promise<World> =>
    world(driver, { routes: [{ path: '/', budget: 'pages', handle }], prepare: ledger, ownErrors })

  describe(`${driver.name}: a client that can't be served`, () => {
    for (const ownErrors of [false, true]) {
      const handler = ownErrors ? 'an error handler of the app' : 'our error handler'
      const body = (answer: Answer): void => {
        if (ownErrors) expect(answer.text).toBe('{"own":true}')
        else expect(answer.text).toContain(answer.status === 503 ? 'Service Unavailable' : 'Gateway Timeout')
      }

      it(`is told 503 and when to come again, by ${handler}`, async () => {
        const { site, work, idle } = await full({ ownErrors })
        const answer = await fetched(site, '/')
        whole(503, answer)
        retryAfter(answer)
        body(answer)
        work.release()
        await idle()
      })

      it(`is told 503 while what a route requires is unavailable, before its handler runs, by ${handler}`, async () => {
        const work = held()
        work.release()
        const { site, registry, idle } = await world(driver, {
          routes: [{ path: '/', method: 'post', budget: 'pages', requires: ['ledger'], handle: work.handle }],
          prepare: ledger,
          ownErrors,
        })
        expect((await fetched(site, '/', { body: {} })).status).toBe(200)
        registry.setMode('ledger', 'unavailable', { reason: 'moved by the operator' })
        const answer = await fetched(site, '/', { body: {} })
        whole(503, answer)
        retryAfter(answer)
        body(answer)
        expect(work.begun).toHaveLength(1)
        await idle()
      })

      if (driver.follows)
        it(`is told 503 when a guarded call in its handler is refused, by ${handler}`, async () => {
          const { site, registry, idle } = await failing(
            () => registry.get('ledger')!.run(() => Promise.resolve('never')),
            ownErrors,
          )
          registry.setMode('ledger', 'unavailable', { reason: 'the ledger is being moved' })
          const answer = await fetched(site, '/')
          whole(503, answer)
          retryAfter(answer)
          body(answer)
          await idle()
        })

      if (driver.follows)
        it(`is told 504 when a guarded call in its handler took too long, by ${handler}`, async () => {
          const { site, clock, registry, idle } = await failing(
            () => registry.get('ledger')!.run(() => new Promise(() => undefined), { timeout: 100 }),
            ownErrors,
          )
          const client = ask(site, '/')
          await until(() => registry.get('ledger')!.inFlight().length === 1, 'the call has begun')
          await clock.advance(100)
          const answer = await client.answer
          whole(504, answer)
          body(answer)
          await idle()
        })

      it(`is told 504 at the deadline, whatever the handler does later, with ${handler}`, async () => {
        const work = held()
        const { site, clock, idle } = await world(driver, {
          routes: [{ path: '/', budget: 'pages', handle: work.handle }],
          deadline: 1_000,
          ownErrors,
        })
        const client = ask(site, '/', { headers: { connection: 'keep-alive' } })
        await work.reach(1)
        await clock.advance(1_000)
        const answer = await client.answer
        whole(504, answer)
        expect(answer.text).not.toBe('')
        if (driver.catches) for (const one of work.begun) one.fail(new Error('much later'))
        else work.release()
        await idle()
      })

      // An error handler of the app's own that passes an error on after an answer has Express destroy the connection.
      if (driver.follows || (driver.catches && !ownErrors))
        it(`keeps its connection when a guarded call in the handler ends with the deadline, with ${handler}`, async () => {
          const work = held()
          const { site, clock, registry, idle } = await world(driver, {
            routes: [
              {
                path: '/late',
                budget: 'pages',
                handle: () => registry.get('ledger')!.run(() => new Promise(() => undefined)),
              },
              { path: '/', budget: 'pages', handle: work.handle },
            ],
            prepare: ledger,
            deadline: 1_000,
            ownErrors,
          })
          work.release()
          const { socket, received } = await wire(site)
          socket.write(head('/late'))
          await until(() => registry.get('ledger')!.inFlight().length === 1, 'the call has begun')
          await clock.advance(1_000)
          await until(() => received().endsWith('}'), 'the answer has come')
          socket.write(head('/'))
          await until(() => received().endsWith('\r\n\r\nok') || socket.closed, 'the next is answered')
          expect(received()).toMatch(/^HTTP\/1.1 504 [^]*HTTP\/1.1 200 /)
          await idle()
        })
    }

    it('keeps its connection, and the next request on it, when the handler answers after the deadline', async () => {
      const work = held((exchange) => exchange.reply('too late'))
      const { site, clock, idle } = await world(driver, {
        routes: [{ path: '/', budget: 'pages', handle: work.handle }],
        deadline: 1_000,
      })
      const { socket, received } = await wire(site)
      socket.write(head('/'))
      await work.reach(1)
      await clock.advance(1_000)
      await until(() => received().includes('Gateway Timeout"}'), 'the deadline has answered')
      socket.write(head('/'))
      await work.reach(2)
      work.begun[0]!.open()
      await until(() => work.running() === 1, 'the first has settled')
      work.release()
      await until(() => received().endsWith('too late') || socket.closed, 'the next is answered')
      expect(received()).toMatch(/^HTTP\/1.1 504 [^]*HTTP\/1.1 200 /)
      expect(received().split('too late')).toHaveLength(2)
      await idle()
    })

    it('comes again at another time than the others', async () => {
      const chances = [0, 0.2, 0.4, 0.6, 0.8, 0.999]
      let next = 0
      const { site, work, idle } = await full({ random: () => chances[next++ % chances.length]! })
      const told = new Set<number>()
      for (let i = 0; i < chances.length; i++) told.add(retryAfter(await fetched(site, '/')))
      expect([...told].sort()).toEqual([1, 2])
      work.release()
      await idle()
    })

    it('learns nothing of an error that is the app\u2019s own from us', async () => {
      const { site } = await failing(() => {
        throw Object.assign(new Error('teapot'), { status: 418, statusCode: 418 })
      }, true)
      expect((await fetched(site, '/')).status).toBe(418)
    })
  })

  describe(`${driver.name}: readiness`, () => {
    it('is green while a dependency is down that is not required, red while a required one is', async () => {
      const { site, registry } = await world(driver, {
        routes: [],
        prepare: (made) => {
          made.dependency('extra')
          made.dependency('ledger', { required: true })
        },
      })
      expect(await fetched(site, '/ready')).toMatchObject({ status: 200 })
      registry.setMode('extra', 'unavailable', { reason: 'moved' })
      expect(await fetched(site, '/ready')).toMatchObject({ status: 200 })
      registry.setMode('ledger', 'unavailable', { reason: 'moved' })
      const red = await fetched(site, '/ready')
      expect(red.status).toBe(503)
      expect(JSON.parse(red.text)).toEqual({ ready: false, leaving: false, waitingFor: ['ledger'] })
      registry.setMode('ledger', 'available', { reason: 'back' })
      expect(await fetched(site, '/ready')).toMatchObject({ status: 200 })
    })

    it('is red once the process is leaving, while requests in flight, and their calls, end', async () => {
      const work = held((exchange) => registry.get('ledger')!.run(() => exchange.reply('done')))
      const { site, registry, idle } = await world(driver, {
        routes: [{ path: '/', budget: 'pages', handle: work.handle }],
        prepare: ledger,
      })
      const client = ask(site, '/')
      await work.reach(1)
      registry.leave()
      const red = await fetched(site, '/ready')
      expect(red.status).toBe(503)
      expect(JSON.parse(red.text)).toEqual({ ready: false, leaving: true, waitingFor: [] })
      work.release()
      expect(await client.answer).toMatchObject({ status: 200, text: 'done' })
      await idle()
    })
  })
}
