import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { endChild, startChild } from '../../replay/child.js'
import { serve } from '../../replay/serve.js'
import type { Started } from '../../replay/started.js'
import { guardedFeed, secondSite, unguardedFeed } from './second-site.js'

export type Half = 'guarded' | 'unguarded'

const file = fileURLToPath(new URL('second-site-process.ts', import.meta.url))

/** The second site as another app in the portal's own process. */
export async function startTogether(half: Half, portal: string, started: Started): Promise<string> {
  if (half === 'unguarded') return started.add(await serve(secondSite(unguardedFeed(portal)))).url
  const { loadFeed, close } = guardedFeed(portal)
  started.add({ stop: close })
  return started.add(await serve(secondSite(loadFeed))).url
}

/** The second site in a process of its own. */
export async function startApart(half: Half, portal: string, started: Started): Promise<string> {
  const child = startChild(file, [half, portal])
  started.add({ stop: () => endChild(child, 'SIGKILL') })
  const ended = once(child, 'exit').then(() => {
    throw new Error('the second site has ended')
  })
  ended.catch(() => undefined)
  const [{ url }] = (await Promise.race([once(child, 'message'), ended])) as [{ url: string }]
  return url
}
