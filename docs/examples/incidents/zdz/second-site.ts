import { createRegistry } from 'cofferdam'
import express, { type Express } from 'express'

export interface Item {
  title: string
}

/** What the second site shows in its side bar when there is nothing of the first one: from another source. */
export const comicStrip: Item[] = [{ title: 'A comic strip' }]

const fetchFeed = async (portal: string, signal?: AbortSignal): Promise<Item[]> => {
  const response = await fetch(`${portal}/feed`, signal === undefined ? {} : { signal })
  if (!response.ok) throw new Error(`the feed answered ${response.status}`)
  return (await response.json()) as Item[]
}

/** Another site, that shows the feed of the first one in its side bar. It has no other reason to fail. */
export function secondSite(loadFeed: () => Promise<Item[]>): Express {
  const app = express()
  app.get('/', async (_request, response) => {
    const feed = await loadFeed()
    response.send(`<main>The second site</main><aside>${feed.map(({ title }) => title).join(', ')}</aside>`)
  })
  return app
}

/** As it was: it calls the first site while its own visitors wait. */
export const unguardedFeed = (portal: string) => (): Promise<Item[]> => fetchFeed(portal)

export function guardedFeed(portal: string): { loadFeed: () => Promise<Item[]>; close: () => Promise<void> } {
  const registry = createRegistry()
  const feed = registry.dependency('zdz-feed', { timeout: 500 })
  const loadFeed = feed.wrap(({ signal }) => fetchFeed(portal, signal), {
    name: 'load-feed',
    key: () => 'latest',
    scope: 'public',
    fallback: { value: comicStrip },
  })
  return { loadFeed, close: () => registry.close() }
}
