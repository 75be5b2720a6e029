import Fastify from 'fastify'
import { describe, expect, it } from 'vitest'
import { cofferdam, type FastifyGuardOptions } from '../../src/fastify/index.js'
import { createBudgets, createRegistry } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'

const registry = createRegistry({ clock: new ManualClock() })
registry.dependency('feed')
const budgets = createBudgets({ slots: 10, classes: { pages: {}, slow: { maxWait: 400 } } })

const optionError = (path: string): Error => expect.objectContaining({ code: 'ERR_OPTION', path }) as Error

describe('a plugin that is registered wrongly', () => {
  it.each([
    ['no registry', {}, 'cofferdam.registry'],
    ['what is no registry', { registry: {} }, 'cofferdam.registry'],
    ['a deadline of 0', { registry, deadline: 0 }, 'cofferdam.deadline'],
    ['a deadline over 2^31 − 1', { registry, deadline: 2 ** 31 }, 'cofferdam.deadline'],
    ['a wait as long as the deadline', { registry, budgets, deadline: 400 }, 'cofferdam.deadline'],
    ['an unknown option', { registry, timeout: 5 }, 'cofferdam.timeout'],
  ])('fails the boot: %s', async (_case, options, path) => {
    const app = Fastify()
    app.register(cofferdam, options as FastifyGuardOptions)
    await expect(app.ready()).rejects.toEqual(optionError(path))
  })

  it('fails the boot when it is there already', async () => {
    const app = Fastify()
    await app.register(cofferdam, { registry })
    app.register(cofferdam, { registry })
    await expect(app.ready()).rejects.toEqual(optionError('cofferdam'))
  })
})

describe('a route', () => {
  it.each([
    ['an unknown budget', { budget: 'ajaxx' }, '/x.budget'],
    ['an empty name', { budget: '' }, '/x.budget'],
    ['a name that objects have', { budget: '__proto__' }, '/x.budget'],
    ['no slots of its own', { budget: { slots: 0 } }, '/x.budget.slots'],
    ['slots that nobody knows', { budget: { slots: 1, wait: 5 } }, '/x.budget.wait'],
    ['a wait of its own as long as the deadline', { budget: { slots: 1, maxWait: 30_000 } }, '/x.budget.maxWait'],
    ['one as long as its own deadline', { budget: { slots: 1, maxWait: 500 }, deadline: 500 }, '/x.budget.maxWait'],
    ['an unknown dependency', { requires: ['fed'] }, '/x.requires'],
    ['a deadline of 0', { deadline: 0 }, '/x.deadline'],
    ['a deadline that a wait could use up', { deadline: 400, budget: 'slow' }, '/x.deadline'],
  ])('fails the boot: %s', async (_case, config, path) => {
    const app = Fastify()
    await app.register(cofferdam, { registry, budgets })
    expect(() => app.get('/x', { config: config as never }, () => 'x')).toThrow(optionError(path))
  })

  it.each([
    { deadline: 400, budget: 'pages' },
    { deadline: 400 },
    { deadline: 400, budget: { slots: 1, maxWait: 50 } },
  ])('may have less time than requests of another class may wait: %o', async (config) => {
    const app = Fastify()
    await app.register(cofferdam, { registry, budgets })
    app.get('/x', { config: config as never }, () => 'x')
    await app.ready()
    expect((await app.inject('/x')).body).toBe('x')
  })

  it('that fails leaves no budget behind, and may wait nearly as long as it has time', async () => {
    const app = Fastify()
    const own = createBudgets({ slots: 9, classes: { pages: {} } })
    await app.register(cofferdam, { registry, budgets: own })
    const options = { config: { budget: { slots: 1, maxWait: 40_000 }, deadline: 30_000 } }
    expect(() => app.get('/x', options, () => 'x')).toThrow('40000 is not less than the deadline, 30000')
    expect(own.names).toEqual(['pages'])
    options.config.deadline = 40_001
    app.get('/x', options, () => 'x')
    expect(own.names).toEqual(['pages', 'route 1'])
  })

  it('names the one at fault where there are no budgets', async () => {
    const app = Fastify()
    await app.register(cofferdam, { registry })
    expect(() => app.get('/x', { config: { budget: { slots: 1 } } }, () => 'x')).toThrow(optionError('/x.budget'))
  })

  it('fails at its first request when it was declared before the plugin, and nothing of it runs', async () => {
    const app = Fastify()
    let ran = false
    const errors: unknown[] = []
    app.setErrorHandler((error, _request, reply) => {
      errors.push(error)
      return reply.code(500).send()
    })
    app.get('/x', { config: { budget: 'ajaxx' } }, () => (ran = true))
    await app.register(cofferdam, { registry, budgets })
    const { statusCode } = await app.inject('/x')
    expect(statusCode).toBe(500)
    expect(errors).toEqual([optionError('GET /x.budget')])
    expect(ran).toBe(false)
    expect(budgets.usage().busy).toBe(0)
    await app.close()
  })

  it('may have a deadline shorter than the wait that nobody asked for', async () => {
    const app = Fastify()
    await app.register(cofferdam, { registry, budgets: createBudgets({ slots: 9, classes: { pages: {} } }) })
    app.get('/x', { config: { deadline: 100 } }, () => 'x')
    expect((await app.inject('/x')).body).toBe('x')
    await app.close()
  })
})
