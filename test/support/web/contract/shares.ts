import { describe, expect, it } from 'vitest'
import { ask, fetched, head, wire, type Asking } from '../client.js'
import type { Driver, Route, Site } from '../driver.js'
import { until } from '../until.js'
import { held, world, type Held } from '../world.js'

export const CLASSES = { pages: { guaranteed: 4, queue: 20 }, stats: { guaranteed: 1, queue: 10 } }

export const route = (budget: string, { handle }: Held): Route => ({ path: `/${budget}`, budget, handle })

export function crowd(site: Site, path: string, size: number): Asking[] {
  return Array.from({ length: size }, () => ask(site, path))
}

/** Who gets a slot, who waits and who is sent away. */
export function sharesContract(driver: Driver): void {
  describe(`${driver.name}: slots are shared`, () => {
    it('so that a greedy class takes what is idle and no more: pages have their guarantee at once', async () => {
      const stats = held()
      const pages = held()
      const { site, budgets, idle } = await world(driver, {
        routes: [route('stats', stats), route('pages', pages)],
        slots: 10,
        classes: CLASSES,
      })
      const greedy = crowd(site, '/stats', 30)
      await until(() => budgets.usage().classes.stats!.refused === 14, 'stats has its slots and its line full')
      expect(budgets.usage()).toMatchObject({ busy: 6, classes: { stats: { busy: 6, waiters: 10 } } })
      expect(stats.running()).toBe(6)

      const visitors = crowd(site, '/pages', 6)
      await until(() => budgets.usage().classes.pages!.waiters === 2, 'all visitors have come')
      expect(pages.running()).toBe(4)
      expect(budgets.usage().busy).toBe(10)

      // A slot that comes free goes to the class below its guarantee, or to who has waited longest.
      pages.begun[0]!.open()
      await pages.reach(5)
      expect(stats.running()).toBe(6)
      pages.release()
      await until(() => stats.running() === 6 && pages.running() === 0, 'pages are done')
      stats.release()
      for (const { answer } of visitors) expect((await answer).status).toBe(200)
      const served = await Promise.all(greedy.map(({ answer }) => answer))
      expect(served.filter(({ status }) => status === 200)).toHaveLength(16)
      expect(served.filter(({ status }) => status === 503)).toHaveLength(14)
      await idle()
    })

    it('so that idle slots are lent', async () => {
      const pages = held()
      const { site, busy, idle } = await world(driver, {
        routes: [route('pages', pages)],
        slots: 10,
        classes: { pages: { guaranteed: 1 }, stats: { guaranteed: 2 } },
      })
      const visitors = crowd(site, '/pages', 8)
      await pages.reach(8)
      expect(busy()).toBe(8)
      pages.release()
      await Promise.all(visitors.map(({ answer }) => answer))
      await idle()
    })

    it('so that no route has more than its own budget', async () => {
      const search = held()
      const pages = held()
      const { site, idle } = await world(driver, {
        routes: [{ path: '/search', budget: { slots: 2, queue: 0 }, handle: search.handle }, route('pages', pages)],
        slots: 10,
      })
      const searching = crowd(site, '/search', 2)
      await search.reach(2)
      expect((await fetched(site, '/search')).status).toBe(503)
      pages.release()
      expect((await fetched(site, '/pages')).status).toBe(200)
      search.release()
      for (const { answer } of searching) expect((await answer).status).toBe(200)
      await idle()
    })

    it('so that one whose client has gone leaves the line, and never runs', async () => {
      const work = held()
      const { site, budgets, idle } = await world(driver, { routes: [route('pages', work)], slots: 1 })
      const first = ask(site, '/pages')
      await work.reach(1)
      const second = ask(site, '/pages?second')
      const waiters = (): number => budgets.usage().classes.pages!.waiters
      await until(() => waiters() === 1, 'the second waits')
      second.leave()
      await until(() => waiters() === 0, 'the second has left the line')
      work.release()
      expect((await first.answer).status).toBe(200)
      expect((await fetched(site, '/pages?third')).status).toBe(200)
      expect(work.begun.map(({ exchange }) => exchange.raw.req.url)).toEqual(['/pages', '/pages?third'])
      await idle()
    })

    it('so that one that waits too long is sent away, and one that waits less is served', async () => {
      const work = held()
      const { site, clock, budgets, idle } = await world(driver, {
        routes: [route('pages', work)],
        slots: 1,
        classes: { pages: { maxWait: 100 } },
      })
      const first = ask(site, '/pages')
      await work.reach(1)
      const second = ask(site, '/pages')
      const waiters = (): number => budgets.usage().classes.pages!.waiters
      await until(() => waiters() === 1, 'the second waits')
      await clock.advance(60)
      const third = ask(site, '/pages')
      await until(() => waiters() === 2, 'the third waits')
      await clock.advance(40)
      expect((await second.answer).status).toBe(503)
      work.release()
      expect((await first.answer).status).toBe(200)
      expect((await third.answer).status).toBe(200)
      await idle()
    })

    it('so that one whose deadline passes in line is told so, and keeps its connection', async () => {
      const work = held()
      const { site, clock, budgets, idle } = await world(driver, {
        routes: [route('pages', work)],
        slots: 1,
        trustDeadline: true,
      })
      const first = ask(site, '/pages')
      await work.reach(1)
      const { socket, received } = await wire(site)
      socket.write(head('/pages', { 'x-envoy-expected-rq-timeout-ms': 50 }))
      await until(() => budgets.usage().classes.pages!.waiters === 1, 'the second waits')
      await clock.advance(50)
      await until(() => received().endsWith('}'), 'it is answered')
      work.release()
      expect((await first.answer).status).toBe(200)
      socket.write(head('/pages'))
      await until(() => received().endsWith('\r\n\r\nok') || socket.closed, 'the next is answered')
      expect(received()).toMatch(/^HTTP\/1.1 504 [^]*HTTP\/1.1 200 /)
      expect(work.begun).toHaveLength(2)
      await idle()
    })

    it('except with a class that an operator has paused, until the pause expires', async () => {
      const work = held()
      const { site, clock, budgets, idle } = await world(driver, {
        routes: [route('pages', held()), route('stats', work)],
        slots: 1,
        classes: { pages: { guaranteed: 0 }, stats: { guaranteed: 0 } },
      })
      const running = ask(site, '/stats')
      await work.reach(1)
      const waiting = ask(site, '/stats')
      await until(() => budgets.usage().classes.stats!.waiters === 1, 'one waits')

      budgets.pause('stats', { reason: 'it blocks the nightly dump', by: 'ann', for: 60_000 })
      expect((await waiting.answer).status).toBe(503)
      const refused = await fetched(site, '/stats')
      expect(refused.status).toBe(503)
      expect(refused.text).not.toMatch(/dump|ann|stats/)
      const { paused } = budgets.usage().classes.stats!
      expect(paused).toEqual({ reason: 'it blocks the nightly dump', by: 'ann', until: clock.wall() + 60_000 })

      // What ran already goes on.
      work.release()
      expect((await running.answer).status).toBe(200)
      await clock.advance(60_000)
      expect(budgets.usage().classes.stats!.paused).toBeUndefined()
      expect((await fetched(site, '/stats')).status).toBe(200)

      budgets.pause('stats', { reason: 'again' })
      expect((await fetched(site, '/stats')).status).toBe(503)
      budgets.resume('stats')
      expect((await fetched(site, '/stats')).status).toBe(200)
      await idle()
    })
  })
}
