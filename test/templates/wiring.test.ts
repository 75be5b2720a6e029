import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import view from '@fastify/view'
import ejs from 'ejs'
import { Eta } from 'eta'
import express, { type Express } from 'express'
import express4 from 'express4'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import handlebars from 'handlebars'
import nunjucks from 'nunjucks'
import pug from 'pug'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { cofferdam as expressGuard } from '../../src/express/index.js'
import { cofferdam as fastifyGuard } from '../../src/fastify/index.js'
import { createRegistry, type Registry } from '../../src/index.js'
import { ManualClock } from '../../src/testing.js'

/** An engine, wired as its own documentation says: files, includes and loops, with nothing of ours in between. */
interface Wiring {
  extension: string
  /** All dependencies, with what there is to say of each. */
  list: string
  /** Two of them, by their names. */
  part: string
  /** The page that includes the part. */
  whole: string
  express: (app: Express, folder: string) => unknown
  fastify: (folder: string) => { engine: object; options?: object }
}

const AT_START = 1_767_225_600_000
const LIST = `[zdz-feed available ${AT_START} ][ads unavailable ${AT_START + 60_000} Back at noon]`
const PART = 'feed: yes, ads: no (Back at noon)'

const file =
  (render: (text: string, locals: object) => string): Parameters<Express['engine']>[1] =>
  (path, locals, done) => {
    try {
      done(null, render(readFileSync(path, 'utf8'), locals))
    } catch (error) {
      done(error)
    }
  }

const wirings: Record<string, Wiring> = {
  EJS: {
    extension: 'ejs',
    list: '<% for (const one of health.list()) { %>[<%= one.name %> <%= one.mode %> <%= one.since %> <%= one.notice %>]<% } %>',
    part: "feed: <% if (health['zdz-feed'].available) { %>yes<% } else { %>no<% } %>, ads: <%= health.ads.available ? 'yes' : 'no' %> (<%= health.ads.notice %>)",
    whole: "<%- include('part') %>",
    express: (app) => app.set('view engine', 'ejs'),
    fastify: (folder) => ({ engine: { ejs }, options: { views: [folder] } }),
  },
  Pug: {
    extension: 'pug',
    list: 'each one in health.list()\n  | [#{one.name} #{one.mode} #{one.since} #{one.notice}]',
    part: "| feed: #{health['zdz-feed'].available ? 'yes' : 'no'}, ads: \nif health.ads.available\n  | yes\nelse\n  | no (#{health.ads.notice})",
    whole: 'include part.pug',
    express: (app) => app.set('view engine', 'pug'),
    fastify: (folder) => ({ engine: { pug }, options: { basedir: folder, filename: join(folder, 'whole.pug') } }),
  },
  Handlebars: {
    extension: 'hbs',
    list: '{{#each health.list}}[{{name}} {{mode}} {{since}} {{notice}}]{{/each}}',
    part: "feed: {{#if health.[zdz-feed].available}}yes{{else}}no{{/if}}, ads: {{#if (lookup (lookup health 'ads') 'available')}}yes{{else}}no{{/if}} ({{health.ads.notice}})",
    whole:
      "feed: {{#with (lookup health 'zdz-feed')}}{{#if available}}yes{{else}}no{{/if}}{{/with}}, ads: {{#each (health.list)}}{{#unless available}}no ({{notice}}){{/unless}}{{/each}}",
    express: (app) => {
      app.engine(
        'hbs',
        file((text, locals) => handlebars.compile(text)(locals)),
      )
      app.set('view engine', 'hbs')
    },
    fastify: () => ({ engine: { handlebars } }),
  },
  Nunjucks: {
    extension: 'njk',
    list: '{% for one in health.list() %}[{{ one.name }} {{ one.mode }} {{ one.since }} {{ one.notice }}]{% endfor %}',
    part: "feed: {% if health['zdz-feed'].available %}yes{% else %}no{% endif %}, ads: {{ 'yes' if health.ads.available else 'no' }} ({{ health.ads.notice }})",
    whole: "{% include 'part.njk' %}",
    express: (app, folder) => {
      nunjucks.configure(folder, { express: app, noCache: true })
      app.set('view engine', 'njk')
    },
    fastify: () => ({ engine: { nunjucks } }),
  },
  Eta: {
    extension: 'eta',
    list: '<% for (const one of it.health.list()) { %>[<%= one.name %> <%= one.mode %> <%= one.since %> <%= one.notice ?? "" %>]<% } %>',
    part: "feed: <% if (it.health['zdz-feed'].available) { %>yes<% } else { %>no<% } %>, ads: <%= it.health.ads.available ? 'yes' : 'no' %> (<%= it.health.ads.notice %>)",
    whole: "<%~ include('./part', it) %>",
    express: (app, folder) => {
      const eta = new Eta({ views: folder })
      app.engine(
        'eta',
        file((text, locals) => eta.renderString(text, locals)),
      )
      app.set('view engine', 'eta')
    },
    fastify: (folder) => ({ engine: { eta: new Eta({ views: folder }) } }),
  },
}

let folder: string
let registry: Registry
let clock: ManualClock

beforeEach(async () => {
  clock = new ManualClock({ wall: AT_START })
  registry = createRegistry({ clock })
  registry.dependency('zdz-feed')
  registry.dependency('ads')
  await clock.advance(60_000)
  registry.setMode('ads', 'unavailable', { reason: 'schema upgrade, ticket 4711', notice: 'Back at noon' })
  folder = mkdtempSync(join(tmpdir(), 'cofferdam-wiring-'))
  onTestFinished(() => {
    rmSync(folder, { recursive: true })
  })
})
afterEach(() => {
  vi.unstubAllEnvs()
})

function write({ extension, list, part, whole }: Wiring): void {
  for (const [name, text] of Object.entries({ list, part, whole }))
    writeFileSync(join(folder, `${name}.${extension}`), text)
}

/** Asks for a page by the name of its template. */
type Ask = (page: string) => Promise<string>

async function onExpress(make: typeof express, wiring: Wiring): Promise<Ask> {
  write(wiring)
  const app = make()
  app.use(expressGuard({ registry }))
  app.set('views', folder)
  wiring.express(app, folder)
  app.get('/:page', (request, response) => {
    response.render(request.params.page)
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return async (page) => (await fetch(`http://127.0.0.1:${port}/${page}`)).text()
}

type Viewing = FastifyReply & { view: (page: string) => FastifyReply }

async function onFastify(wiring: Wiring, order: 'guard first' | 'view first'): Promise<Ask> {
  write(wiring)
  const app: FastifyInstance = Fastify()
  onTestFinished(() => app.close())
  const views = { ...wiring.fastify(folder), templates: folder, root: folder, viewExt: wiring.extension }
  if (order === 'guard first') await app.register(fastifyGuard, { registry })
  await app.register(view, views)
  if (order === 'view first') await app.register(fastifyGuard, { registry })
  app.get('/:page', (request, reply) => (reply as Viewing).view((request.params as { page: string }).page))
  return async (page) => (await app.inject(`/${page}`)).body
}

const frameworks: [string, (wiring: Wiring) => Promise<Ask>][] = [
  ['Express 5', (wiring) => onExpress(express, wiring)],
  ['Express 4', (wiring) => onExpress(express4, wiring)],
  ['Fastify, the guard before @fastify/view', (wiring) => onFastify(wiring, 'guard first')],
  ['Fastify, the guard after @fastify/view', (wiring) => onFastify(wiring, 'view first')],
]

describe.each(frameworks)('%s', (_framework, serve) => {
  describe.each(Object.entries(wirings))('%s', (_name, wiring) => {
    it.each(['development', 'production'])('says name, mode, since and notice of each, in %s', async (environment) => {
      vi.stubEnv('NODE_ENV', environment)
      const ask = await serve(wiring)
      expect((await ask('list')).replaceAll('undefined', '').replaceAll('null', '')).toBe(LIST)
    })

    it('says them by name too, also in what a page includes', async () => {
      const ask = await serve(wiring)
      expect(await ask('part')).toBe(PART)
      expect(await ask('whole')).toBe(PART)
    })

    it('says at each request how it is then', async () => {
      const ask = await serve(wiring)
      expect(await ask('part')).toContain('feed: yes')
      registry.setMode('zdz-feed', 'unavailable', { reason: 'moved' })
      expect(await ask('part')).toContain('feed: no')
      registry.clearMode('zdz-feed')
      expect(await ask('part')).toContain('feed: yes')
    })

    it('says nothing that is for operators, unless it is asked for', async () => {
      const ask = await serve(wiring)
      expect((await ask('list')) + (await ask('whole'))).not.toContain('4711')
    })
  })
})

describe('what a Fastify app keeps in reply.locals', () => {
  it('stays there beside health', async () => {
    const app = Fastify()
    onTestFinished(() => app.close())
    app.decorateReply('locals')
    type Local = FastifyReply & { locals: object }
    app.addHook('onRequest', (_request, reply, next) => {
      ;(reply as Local).locals = { user: 'ann' }
      next()
    })
    await app.register(fastifyGuard, { registry })
    app.get('/', (_request, reply) => Object.keys((reply as Local).locals))
    expect((await app.inject('/')).json()).toEqual(['user', 'health'])
  })
})
