import type { Registry } from 'cofferdam'
import { serve } from '../replay/serve.js'
import { portalApp } from './portal/app.js'
import { guardedPage } from './portal/guarded.js'
import { unguardedPage } from './portal/unguarded.js'
import { startUpstreams, type Upstreams } from './upstreams/start.js'

export const variants = ['guarded', 'unguarded'] as const
export type Variant = (typeof variants)[number]

export interface Site {
  upstreams: Upstreams
  registry: Registry
  urls: Record<Variant, string>
  stop: () => Promise<void>
}

/** The three upstreams, and both portals in front of them. */
export async function startSite(): Promise<Site> {
  const upstreams = await startUpstreams()
  const { registry, loadPage } = guardedPage(upstreams.urls)
  const guarded = await serve(portalApp('guarded', loadPage))
  const unguarded = await serve(portalApp('unguarded', unguardedPage(upstreams.urls)))
  return {
    upstreams,
    registry,
    urls: { guarded: guarded.url, unguarded: unguarded.url },
    async stop() {
      await Promise.all([guarded.stop(), unguarded.stop(), registry.close({ timeout: 1_000 })])
      await upstreams.stop()
    },
  }
}
