import { access } from 'node:fs/promises'
import { KeyvMemcache } from '@keyv/memcache'
import { createRegistry } from 'cofferdam'
import { cofferdam } from 'cofferdam/express'
import express from 'express'
import { Keyv } from 'keyv'
import { loadPart, renderPage, templateIn, type Kind } from './page.js'
import type { Running } from './process.js'

/** Which node keeps which parts. */
const nodeOf: Record<Kind, 0 | 1> = { app: 0, reviews: 1, readers: 1, tweets: 0 }

/** The same site with the database as its dependency, and the cache nodes behind the process' own memory. */
export function guarded({ directory, nodes, source }: Running): express.Express {
  const registry = createRegistry()
  // A node each, for each is known to be dead by itself: over a ring as a whole one dead node would stand for all.
  const load = nodes.map((node, number) => {
    const keyv = new Keyv(new KeyvMemcache(node, { logger: { log: () => undefined } }))
    const database = registry.dependency(`database-${number}`, { stale: { store: keyv, freshFor: 600_000 } })
    return database.wrap(({ signal }, kind: Kind, id: string) => loadPart(source, kind, id, signal), {
      name: 'part',
      key: (kind, id) => `${kind}:${id}`,
      scope: 'public',
    })
  })

  // This process is of no use before they are there.
  registry.dependency('packages', {
    required: true,
    probe: { run: () => access(templateIn(directory)), every: 500, successes: 1 },
    circuit: { openFor: 500, openForAtMost: 500 },
  })

  const app = express()
  app.get('/in-vain', (_request, response) => {
    response.json(load.reduce((sum, { cache }) => sum + cache.counts()['secondFailures']!, 0))
  })
  const guard = cofferdam({ registry, deadline: 3_000 })
  app.get('/ready', guard.ready())
  app.use(guard)
  app.get('/apps/:id', async (request, response) => {
    response.send(await renderPage(directory, request.params.id, (kind, id) => load[nodeOf[kind]]!(kind, id)))
  })
  app.use(guard.errors())
  return app
}
