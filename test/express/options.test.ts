import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import express4 from 'express4'
import { describe, expect, it } from 'vitest'
import { cofferdam, type ExpressGuardOptions } from '../../src/express/index.js'
import { createBudgets, createRegistry } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'

const registry = createRegistry({ clock: new ManualClock() })
registry.dependency('feed')
const budgets = createBudgets({ slots: 10, classes: { pages: {}, slow: { maxWait: 1_000 } } })

const optionError = (path: string): Error => expect.objectContaining({ code: 'ERR_OPTION', path }) as Error

describe('a guard that is built wrongly', () => {
  it.each([
    ['no registry', {}, 'cofferdam.registry'],
    ['budgets of another make', { registry, budgets: {} }, 'cofferdam.budgets'],
    ['a deadline of 0', { registry, deadline: 0 }, 'cofferdam.deadline'],
    ['a deadline that is NaN', { registry, deadline: NaN }, 'cofferdam.deadline'],
    ['a deadline that is a string', { registry, deadline: '2000' }, 'cofferdam.deadline'],
    ['a deadline over 2^31 − 1', { registry, deadline: 2 ** 31 }, 'cofferdam.deadline'],
    ['a wait as long as the deadline', { registry, budgets, deadline: 1_000 }, 'cofferdam.deadline'],
    ['a negative grace', { registry, grace: -1 }, 'cofferdam.grace'],
    ['an unknown option', { registry, timeout: 5 }, 'cofferdam.timeout'],
    ['no registry', {}, 'cofferdam.registry'],
    ['what is no registry', { registry: {} }, 'cofferdam.registry'],
    ['no options at all', undefined, 'cofferdam'],
  ])('is refused: %s', (_case, options, path) => {
    expect(() => cofferdam(options as unknown as ExpressGuardOptions<never>)).toThrow(optionError(path))
  })

  it.each(['ajaxx', '', '__proto__', 5, undefined])('is refused when the app is built: the budget %j', (name) => {
    const guard = cofferdam({ registry, budgets })
    expect(() => guard.budget(name as 'pages')).toThrow(optionError('budget'))
  })

  it('is refused: a budget where there are none, slots that make no sense, and an unknown dependency', () => {
    expect(() => cofferdam({ registry }).budget('pages' as never)).toThrow(optionError('budget'))
    const guard = cofferdam({ registry, budgets })
    expect(() => guard.budget({ slots: 0 })).toThrow(optionError('budget.slots'))
    expect(() => guard.budget({ slots: 1, maxWait: 30_000 })).toThrow(optionError('budget.maxWait'))
    expect(() => guard.budget({ slots: 1, maxWait: 29_999 })).not.toThrow()
    expect(() => guard.requires('fed')).toThrow(optionError('requires'))
  })

  it.each([
    ['5', express],
    ['4', express4],
  ])('is refused a second time by an app of Express %s', (_major, make) => {
    const app = make()
    app.use(cofferdam({ registry }))
    expect(() => app.use(cofferdam({ registry }))).toThrow(optionError('guard'))
  })
})

describe('a deadline shorter than the wait that nobody asked for', () => {
  it('is fine: the default gives way', () => {
    const quick = createBudgets({ slots: 10, classes: { pages: {}, stats: { maxWait: 99 } } })
    expect(() => cofferdam({ registry, budgets: quick, deadline: 100 })).not.toThrow()
    expect(() => cofferdam({ registry, budgets: quick, deadline: 99 })).toThrow(optionError('cofferdam.deadline'))
  })
})

describe('a budget without its guard', () => {
  it.each([
    ['5', express],
    ['4', express4],
  ])('is told at the first request on Express %s, and so is requires', async (_major, make) => {
    const app = make()
    const errors: unknown[] = []
    let ran = false
    const handler: express.RequestHandler = (_request, response) => {
      ran = true
      response.send('ok')
    }
    const guard = cofferdam({ registry, budgets })
    app.get('/plain', guard.budget('pages'), handler)
    app.get('/wrapped', guard.budget('pages').wrap(handler))
    app.get('/requires', guard.requires('feed'), handler)
    // One that comes after its budgets is as good as none.
    app.use(guard)
    app.use(((error, _request, response, _next) => {
      errors.push(error)
      response.sendStatus(500)
    }) as express.ErrorRequestHandler)
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    for (const path of ['plain', 'wrapped', 'requires'])
      expect((await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/${path}`)).status).toBe(500)
    server.closeAllConnections()
    server.close()
    expect(errors).toEqual([optionError('guard'), optionError('guard'), optionError('guard')])
    expect(ran).toBe(false)
    expect(budgets.usage().busy).toBe(0)
  })
})
