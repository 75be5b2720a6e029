import type { Registry } from 'cofferdam'
import { serve } from '../../replay/serve.js'
import type { Started } from '../../replay/started.js'
import type { Databases, SiteDatabases } from './databases.js'
import { guarded } from './guarded.js'
import { site } from './site.js'
import { saveComment } from './tables.js'
import { unguarded } from './unguarded.js'
import { PAGES, Visitors } from './visitors.js'

export type Variant = 'unguarded' | 'guarded'

/** One of the two sites, with those who visit it. */
export interface Half {
  readonly databases: SiteDatabases
  readonly visitors: Visitors
  readonly registry: Registry | undefined
}

/** So many that every page is full. */
const COMMENTS = PAGES * 10

export async function startHalf(variant: Variant, servers: Databases, started: Started): Promise<Half> {
  const databases = await servers.forSite(variant, COMMENTS)
  const ids = Array.from({ length: COMMENTS }, (_, index) => index + 1)
  for (const id of ids) {
    const page = id % PAGES
    await saveComment(databases.shards, { id, page, author: id, text: `under ${page}: an old comment` })
  }
  const guard = variant === 'guarded' ? guarded(databases) : undefined
  if (guard) started.add({ stop: () => guard.registry.close() })
  const { url } = started.add(await serve(site(guard?.data ?? unguarded(databases), guard?.registry)))
  return { databases, visitors: new Visitors(url, ids), registry: guard?.registry }
}
