import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import view from '@fastify/view'
import express from 'express'
import express4 from 'express4'
import Fastify from 'fastify'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { cofferdam as expressGuard } from '../../src/express/index.js'
import { cofferdam as fastifyGuard } from '../../src/fastify/index.js'
import { createRegistry, type Registry } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'
import { engines, type Engine } from './engines.js'

let registry: Registry
let folder: string

beforeEach(() => {
  registry = createRegistry({ clock: new ManualClock() })
  registry.dependency('zdz-feed')
  registry.dependency('ads')
  registry.setMode('ads', 'unavailable', { reason: 'upgrade', notice: 'Back at noon' })
  folder = mkdtempSync(join(tmpdir(), 'cofferdam-'))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

/** Renders a template in the course of a real request. */
type Page = (engine: Engine, template: string) => Promise<{ status: number; body: string }>

function onExpress(make: typeof express): Page {
  return async (engine, template) => {
    const app = make()
    app.use(expressGuard({ registry }))
    app.engine('page', (_file, locals, done) => {
      try {
        done(null, engine.render(template, locals))
      } catch (error) {
        done(error)
      }
    })
    app.set('views', folder)
    writeFileSync(join(folder, 'page.page'), template)
    app.get('/', (_request, response) => {
      response.render('page.page')
    })
    app.use(((error, _request, response, _next) => {
      response.status(500).send(String(error))
    }) as express.ErrorRequestHandler)
    const server: Server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const body = await response.text()
    server.closeAllConnections()
    server.close()
    return { status: response.status, body }
  }
}

const onFastify: Page = async (engine, template) => {
  const app = Fastify()
  await app.register(fastifyGuard, { registry })
  const packages = {
    EJS: { ejs: (await import('ejs')).default },
    Pug: { pug: (await import('pug')).default },
    Handlebars: { handlebars: (await import('handlebars')).default },
    Nunjucks: { nunjucks: (await import('nunjucks')).default },
    Eta: { eta: new (await import('eta')).Eta({ views: folder }) },
  }
  const extension = engine.name === 'Eta' ? 'eta' : engine.name.toLowerCase()
  writeFileSync(join(folder, `page.${extension}`), template)
  await app.register(view, { engine: packages[engine.name as keyof typeof packages], root: folder, templates: folder })
  app.get('/', (_request, reply) => (reply as unknown as { view: (name: string) => unknown }).view(`page.${extension}`))
  const { statusCode, body } = await app.inject('/')
  await app.close()
  return { status: statusCode, body }
}

const frameworks: [string, Page][] = [
  ['Express 5', onExpress(express)],
  ['Express 4', onExpress(express4)],
  ['Fastify with @fastify/view', onFastify],
]

describe.each(frameworks)('%s', (_framework, page) => {
  describe.each(engines.map((engine) => [engine.name, engine] as const))('%s', (_name, engine) => {
    it('reads modes by name', async () => {
      expect(await page(engine, engine.asks('zdz-feed'))).toEqual({ status: 200, body: 'yes' })
      expect(await page(engine, engine.asks('ads'))).toEqual({ status: 200, body: 'no' })
    })

    it('lists what there is, with the notice for users', async () => {
      const { body } = await page(engine, engine.lists)
      expect(body).toMatch(/\[zdz-feed available (undefined)?\]\[ads unavailable Back at noon\]/)
    })

    it.each(['no-such', '__proto__', 'constructor'])(
      'takes the unknown name %s for unavailable, in production',
      async (name) => {
        vi.stubEnv('NODE_ENV', 'production')
        expect(await page(engine, engine.asks(name))).toEqual({ status: 200, body: 'no' })
      },
    )

    it('throws at an unknown name in development, and lists the known ones', async () => {
      const { status, body } = await page(engine, engine.asks('zdz-fed'))
      expect(status).toBe(500)
      expect(body).toMatch(/zdz-fed.*known are.*zdz-feed/s)
    })
  })
})
