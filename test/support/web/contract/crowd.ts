import { describe, expect, it } from 'vitest'
import { ask, fetched, head, wire } from '../client.js'
import type { Driver } from '../driver.js'
import { until } from '../until.js'
import { held, world } from '../world.js'
import { CLASSES, crowd, route } from './shares.js'

/** Many at once. */
export function crowdContract(driver: Driver): void {
  describe(`${driver.name}: in a crowd`, () => {
    it('what runs never exceeds the cap, whatever comes', async () => {
      let most = 0
      const { site, busy, budgets, idle } = await world(driver, {
        routes: ['pages', 'stats'].map((budget) => ({
          path: `/${budget}`,
          budget,
          handle: async (exchange) => {
            most = Math.max(most, budgets.usage().busy)
            await new Promise((resolve) => setImmediate(resolve))
            most = Math.max(most, busy())
            exchange.reply('ok')
          },
        })),
        slots: 10,
        classes: CLASSES,
      })
      const all = [...crowd(site, '/stats', 60), ...crowd(site, '/pages', 60)]
      const statuses = new Set((await Promise.all(all.map(({ answer }) => answer))).map(({ status }) => status))
      expect([...statuses].filter((status) => status !== 200 && status !== 503)).toEqual([])
      expect(most).toBeGreaterThan(0)
      expect(most).toBeLessThanOrEqual(10)
      await idle()
    })

    it('slow uploads hold no slot', async () => {
      const upload = held()
      const pages = held()
      const { site, arrived, busy, budgets, idle } = await world(driver, {
        routes: [{ ...route('stats', upload), method: 'post' }, route('pages', pages)],
        slots: 2,
        classes: { pages: { guaranteed: 0 }, stats: { guaranteed: 0 } },
      })
      upload.release()
      pages.release()
      const body = JSON.stringify({ text: 'x'.repeat(1_000) })
      const headers = { 'content-type': 'application/json', 'content-length': body.length, connection: 'close' }
      const uploads = await Promise.all(Array.from({ length: 5 }, () => wire(site)))
      for (const { socket } of uploads) socket.write(head('/stats', headers, 'POST') + body.slice(0, 500))
      await until(() => arrived() === 5, 'all uploads have begun')
      expect((await fetched(site, '/pages')).status).toBe(200)
      expect(busy()).toBe(0)
      expect(budgets.usage().classes.stats!.waiters).toBe(0)
      for (const { socket } of uploads) socket.write(body.slice(500))
      await until(() => uploads.every(({ received }) => received().startsWith('HTTP/1.1 200')), 'all are answered')
      await idle()
    })

    if (driver.follows)
      it('100 clients that abort and come again never run more handlers than there are slots', async () => {
        let running = 0
        let most = 0
        let runs = 0
        const { site, idle } = await world(driver, {
          routes: [
            {
              path: '/',
              budget: 'pages',
              handle: async (exchange) => {
                runs++
                most = Math.max(most, ++running)
                await new Promise((resolve) => setTimeout(resolve, 15))
                running--
                exchange.reply('ok')
              },
            },
          ],
          slots: 5,
        })
        await Promise.all(
          Array.from({ length: 100 }, async (_, n) => {
            for (let i = 0; i < 4; i++) {
              const client = ask(site, '/')
              // Some are aborted in line, some while their handler runs, some not at all.
              const leaving = setTimeout(() => client.leave(), 2 + ((n + i) % 12) * 3)
              await client.answer.catch(() => undefined)
              clearTimeout(leaving)
            }
          }),
        )
        await until(() => running === 0, 'all handlers have settled')
        expect(runs).toBeGreaterThan(5)
        expect(most).toBeGreaterThan(1)
        expect(most).toBeLessThanOrEqual(5)
        await idle()
      })
  })
}
