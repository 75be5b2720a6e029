import type { RequestListener } from 'node:http'
import type { Registry } from 'cofferdam'
import type { Server } from '../../../../test/support/servers/server.js'
import { serve } from '../../replay/serve.js'
import type { Started } from '../../replay/started.js'
import { PortalDatabase } from './database.js'
import { budgetsOf, guardedQueries } from './guarded.js'
import { guardedExpress } from './guarded-express.js'
import { guardedFastify } from './guarded-fastify.js'
import { peers } from './peers.js'
import { expressPortal, fastifyPortal } from './portal.js'
import { queriesOn, type Queries } from './queries.js'

/** One portal with a database of its own. */
export interface Variant {
  readonly name: string
  readonly url: string
  readonly database: PortalDatabase
  /** Of a guarded one. */
  readonly registry: Registry | undefined
}

/** What listens, once it is known what is asked. */
type Build = (queries: Queries, started: Started) => Promise<{ url: string; registry?: Registry }>

const listening = async (app: RequestListener, started: Started): Promise<{ url: string }> =>
  started.add(await serve(app))

const guardedBy =
  (framework: 'express' | 'fastify'): Build =>
  async (queries, started) => {
    const { registry, guarded } = guardedQueries(queries)
    const budgets = budgetsOf()
    started.add({
      async stop() {
        await registry.close({ timeout: 500 })
        budgets.close()
      },
    })
    if (framework === 'express')
      return { registry, ...(await listening(guardedExpress(registry, budgets, guarded), started)) }
    const app = await guardedFastify(registry, budgets, guarded)
    started.add({ stop: () => app.close() })
    return { registry, url: await app.listen({ port: 0, host: '127.0.0.1' }) }
  }

/** With the library and without it. */
export const halves: Readonly<Record<string, Build>> = {
  guarded: guardedBy('express'),
  unguarded: (queries, started) => listening(expressPortal(queries), started),
  'guarded, Fastify': guardedBy('fastify'),
  'unguarded, Fastify': async (queries, started) => {
    const app = await fastifyPortal(queries)
    started.add({ stop: () => app.close() })
    return { url: await app.listen({ port: 0, host: '127.0.0.1' }) }
  },
}

/** The same Express portal with peers around its queries. */
export const guardedByPeers: Readonly<Record<string, Build>> = Object.fromEntries(
  Object.entries(peers).map(([name, guard]): [string, Build] => [
    name,
    (queries, started) => listening(expressPortal(guard(queries)), started),
  ]),
)

export async function startVariants(
  builds: Readonly<Record<string, Build>>,
  server: Server,
  started: Started,
): Promise<Variant[]> {
  const variants: Variant[] = []
  for (const [name, build] of Object.entries(builds)) {
    const database = await PortalDatabase.create(server, name.replaceAll(/\W+/g, '_').toLowerCase(), started)
    const { url, registry } = await build(queriesOn(database.pool, database.other), started)
    variants.push({ name, url, database, registry })
  }
  return variants
}
