import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import memjs from 'memjs'
import { loadPart, renderPage, type GivePart } from './page.js'
import type { Running } from './process.js'

/** How long a cache node is waited for, ms: as long as that time's client did. */
const PATIENCE = 500

/** The site as it was: one ring of cache nodes, and what they don't have is loaded. */
export function unguarded({ directory, nodes, source }: Running): express.Express {
  const ring = memjs.Client.create(nodes.join(','), { logger: { log: () => undefined } })
  let inVain = 0
  const give: GivePart = async (kind, id) => {
    const key = `unguarded:${kind}:${id}`
    // A node that is gone is a miss. memjs' own bound begins anew with whatever else is sent to the node.
    const answer = ring.get(key).then(
      ({ value }) => value,
      () => null,
    )
    const late = sleep(PATIENCE).then(() => undefined)
    const cached = await Promise.race([answer, late])
    if (cached === undefined) inVain++
    if (cached != null) return cached.toString()
    const loaded = await loadPart(source, kind, id)
    ring.set(key, loaded, {}).catch(() => undefined)
    return loaded
  }

  const app = express()
  app.get('/in-vain', (_request, response) => {
    response.json(inVain)
  })
  app.get('/apps/:id', async (request, response) => {
    response.send(await renderPage(directory, request.params.id, give))
  })
  return app
}
