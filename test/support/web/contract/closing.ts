import { getEventListeners, once } from 'node:events'
import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createBudgets, createRegistry } from '../../../../src/index.js'
import { ask, fetched, head, wire } from '../client.js'
import { countingClock } from '../counting-clock.js'
import type { Driver } from '../driver.js'
import { until } from '../until.js'
import { held, world } from '../world.js'

/** Sockets, servers and timers that keep this process alive. */
function resources(): number {
  return process.getActiveResourcesInfo().filter((kind) => /TCP|Timeout/.test(kind)).length
}

function listeners(emitter: Pick<NodeJS.EventEmitter, 'eventNames' | 'listenerCount'>): Record<string, number> {
  return Object.fromEntries(emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]))
}

/** What is left when all is over. */
export function closingContract(driver: Driver): void {
  describe(`${driver.name}: nothing is left`, () => {
    it('of timers, sockets and listeners after close()', async () => {
      const before = resources()
      const processListeners = listeners(process)
      const clock = countingClock()
      const registry = createRegistry({ clock })
      const ledger = registry.dependency('ledger', { timeout: 20_000 })
      const budgets = createBudgets({ slots: 1, classes: { pages: { maxWait: 20_000 } }, clock })
      const shutdown = new AbortController()
      const work = held()
      const hanging: (() => void)[] = []
      const site = await driver.start({
        registry,
        budgets,
        deadline: 25_000,
        trustDeadline: true,
        routes: [
          { path: '/held', budget: 'pages', handle: work.handle },
          {
            path: '/call',
            budget: 'pages',
            handle: async ({ reply }) => {
              const call = ledger.wrap(() => new Promise<string>((resolve) => hanging.push(() => resolve('ok'))))
              reply(await call.with({ signal: shutdown.signal, timeout: 15_000 })())
            },
          },
        ],
      })
      const first = ask(site, '/held')
      await work.reach(1)
      const gone = ask(site, '/held', { headers: { 'x-envoy-expected-rq-timeout-ms': '24000' } })
      const served = ask(site, '/held', { headers: { 'x-envoy-expected-rq-timeout-ms': '24000' } })
      await until(() => budgets.usage().classes.pages!.waiters === 2, 'both wait')
      gone.leave()
      await until(() => budgets.usage().classes.pages!.waiters === 1, 'one has left')
      work.release()
      expect((await first.answer).status).toBe(200)
      expect((await served.answer).status).toBe(200)
      const calling = ask(site, '/call')
      await until(() => hanging.length === 1, 'a call is under way')
      expect(getEventListeners(shutdown.signal, 'abort')).toHaveLength(1)
      hanging[0]!()
      expect((await calling.answer).status).toBe(200)
      await until(() => budgets.usage().busy === 0, 'nothing is held')
      expect(clock.set()).toBeGreaterThan(3)

      await site.close()
      await registry.close()
      // All but the stall watch's beat of 50 ms, which ends by itself; the others have 15 seconds and more.
      await until(() => clock.live.size === 0, 'no timer is set', 2_000)
      expect(getEventListeners(shutdown.signal, 'abort')).toHaveLength(0)
      expect(listeners(process)).toEqual(processListeners)
      await until(() => resources() <= before, 'nothing of it keeps the process alive')
    })

    it('of a request still under way when its server was closed, once it has ended', async () => {
      const clock = countingClock()
      const registry = createRegistry({ clock })
      const budgets = createBudgets({ slots: 1, classes: { pages: {} }, clock })
      const work = held()
      const site = await driver.start({
        registry,
        budgets,
        deadline: 25_000,
        routes: [{ path: '/', budget: 'pages', handle: work.handle }],
      })
      ask(site, '/')
      await work.reach(1)
      await site.close()
      await until(() => work.begun[0]!.signal.aborted, 'its client has gone')
      work.release()
      await until(() => budgets.usage().busy === 0, 'nothing is held')
      await registry.close()
      await until(() => clock.live.size === 0, 'no timer is set', 2_000)
    })

    it('on a connection between its requests', async () => {
      const { site, idle } = await world(driver, {
        routes: [{ path: '/', budget: 'pages', handle: ({ reply }) => reply('ok') }],
      })
      const connected = once(site.server, 'connection') as Promise<[Socket]>
      const { socket, received } = await wire(site)
      const [served] = await connected
      const counts: Record<string, number>[] = []
      for (let i = 1; i <= 20; i++) {
        socket.write(head('/'))
        await until(() => received().split('\r\n\r\nok').length === i + 1, 'the answer has come')
        await idle()
        counts.push(listeners(served))
      }
      expect(counts.at(-1)).toEqual(counts[0])
      socket.destroy()
      await until(() => served.closed, 'the server knows')
    })

    it('of a scope: after the answer there is none', async () => {
      const work = held()
      const { site, idle, clock } = await world(driver, {
        routes: [{ path: '/', budget: 'pages', handle: work.handle }],
      })
      const client = ask(site, '/')
      await work.reach(1)
      const { scope, signal } = work.begun[0]!
      work.release()
      await client.answer
      await idle()
      expect(scope.idle).toBe(true)
      await clock.advance(60_000)
      expect(signal.aborted).toBe(false)
      expect((await fetched(site, '/')).status).toBe(200)
    })
  })
}
