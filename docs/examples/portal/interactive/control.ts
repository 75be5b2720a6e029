import { fileURLToPath } from 'node:url'
import express, { type Express } from 'express'
import { variants, type Site, type Variant } from '../site.js'
import { isBehaviour, isUpstreamName, upstreamNames } from '../upstreams/behaviour.js'
import type { LastMinute } from './last-minute.js'

/** Enough for the circuits to have something to judge, and little enough for a laptop. */
export const visitsPerSecond = 10

/** A page with a switch for each upstream, and all that the registry knows, as it changes. */
export function controlApp(site: Site, minutes: Record<Variant, LastMinute>): Express {
  const app = express()
  app.disable('x-powered-by')
  app.use((_request, response, next) => {
    response.set({ 'content-security-policy': "default-src 'self'; img-src 'self' data:", 'cache-control': 'no-store' })
    next()
  })
  app.use(express.static(fileURLToPath(new URL('public', import.meta.url))))

  app.get('/state', (_request, response) => {
    response.json({
      visitsPerSecond,
      portals: variants.map((variant) => ({ variant, url: site.urls[variant], good: minutes[variant].read() })),
      upstreams: upstreamNames.map((name) => ({
        name,
        behaviour: site.upstreams.behaviour(name),
        health: site.registry.get(name)?.health(),
      })),
      history: site.registry.history(),
    })
  })

  // JSON only: another site's form can't send it, so no page that you happen to have open can press these buttons.
  app.put('/upstreams/:name', express.json(), async (request, response) => {
    const { name } = request.params
    const { behaviour } = (request.body ?? {}) as { behaviour?: unknown }
    if (!isUpstreamName(name) || !isBehaviour(behaviour)) {
      response.status(400).json({ error: 'unknown upstream or behaviour' })
      return
    }
    await site.upstreams.behave(name, behaviour)
    response.status(204).end()
  })

  return app
}
