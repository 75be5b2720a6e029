import { createServer } from 'node:http'
import type { ErrorRequestHandler, Express } from 'express'
import { describe, expect, it, onTestFinished } from 'vitest'
import { cofferdam } from '../../src/express/index.js'
import { createBudgets, createRegistry } from '../../src/index.js'
import { fetched } from '../support/web/client.js'
import { listening, majors } from '../support/web/express.js'

const registry = createRegistry()
const budgets = createBudgets({ slots: 5, classes: { pages: {}, callbacks: { maxWait: 400 } } })

/** The app, served, and what comes to its error handler. */
async function telling(app: Express) {
  const told: unknown[] = []
  const tell: ErrorRequestHandler = (error, _request, response, _next) => {
    told.push(error)
    response.status(500).end()
  }
  app.use(tell)
  const site = await listening(createServer(app), () => undefined)
  onTestFinished(() => site.close())
  return { site, told }
}

describe('what is wrong with an Express guard is told when the app is built', () => {
  const guard = cofferdam({ registry, budgets, deadline: 1_000 })
  for (const name of ['ajaxx', '', '__proto__', 'constructor', 7, null, undefined, NaN, ['pages']])
    it(`a budget named ${JSON.stringify(name)}`, () => {
      expect(() => guard.budget(name as 'pages')).toThrow(
        expect.objectContaining({ code: 'ERR_OPTION', path: expect.stringMatching(/^budget/) as string }),
      )
    })

  for (const slots of [0, -1, NaN, '5', 1.5, undefined])
    it(`a budget of its own with ${String(slots)} slots`, () => {
      expect(() => guard.budget({ slots: slots as number })).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }))
    })

  it('a budget where there are none', () => {
    const none = cofferdam<string>({ registry })
    expect(() => none.budget('pages')).toThrow(/there are no budgets/)
    expect(() => none.budget({ slots: 1 })).toThrow(/there are no budgets/)
  })

  for (const deadline of [0, -1, NaN, 2 ** 31, '1000', Infinity])
    it(`a deadline of ${String(deadline)}`, () => {
      expect(() => cofferdam({ registry, budgets, deadline: deadline as number })).toThrow(
        expect.objectContaining({ code: 'ERR_OPTION', path: 'cofferdam.deadline' }),
      )
    })

  it('a deadline that a wait for a slot alone could use up', () => {
    expect(() => cofferdam({ registry, budgets, deadline: 400 })).toThrow(/maxWait of the class callbacks, 400/)
  })

  it('an unknown option, and a dependency that nobody made', () => {
    expect(() => cofferdam({ registry, dedline: 1 } as never)).toThrow(/dedline/)
    expect(() => guard.requires('ledgre')).toThrow(/"ledgre" is no dependency/)
  })

  for (const major of ['Express 5', 'Express 4'] as const) {
    it(`a second guard for one app, on ${major}`, () => {
      const app = majors[major]()
      app.use(cofferdam({ registry }))
      expect(() => app.use(cofferdam({ registry }))).toThrow(/this app has a guard already/)
      expect(() => majors[major]().use(cofferdam({ registry }))).not.toThrow()
    })

    it.each(['a router', 'an app that is mounted'])(
      `a second guard on %s, at the first request, on ${major}`,
      async (kind) => {
        const app = majors[major]()
        const inner = kind === 'a router' ? majors[major].Router() : majors[major]()
        app.use(guard)
        inner.use(cofferdam({ registry }))
        app.use(inner)
        const { site, told } = await telling(app)
        expect((await fetched(site, '/')).status).toBe(500)
        expect(told).toMatchObject([{ code: 'ERR_OPTION', path: 'guard' }])
      },
    )

    it(`and a guard that is missing, at the first request, on ${major}`, async () => {
      const app = majors[major]()
      app.get('/budget', guard.budget('pages'))
      app.get(
        '/wrapped',
        guard.budget('pages').wrap(() => undefined),
      )
      const { site, told } = await telling(app)
      expect((await fetched(site, '/budget')).status).toBe(500)
      expect((await fetched(site, '/wrapped')).status).toBe(500)
      for (const error of told)
        expect(error).toMatchObject({
          code: 'ERR_OPTION',
          message: expect.stringContaining('app.use(guard)') as string,
        })
      expect(told).toHaveLength(2)
    })
  }
})
