import { LRUCache } from 'lru-cache'
import type { Reply } from '../work.js'
import type { BuildStack } from './stack.js'

/** With a ttl, since there is no freshness without one, and stale values on rejection. */
export const build: BuildStack = ({ operation, keep, freshFor }) => {
  const cache = new LRUCache<string, Reply>({
    max: keep,
    ttl: freshFor,
    allowStaleOnFetchRejection: true,
    fetchMethod: (category) => operation(category),
  })
  return {
    call: async (category) => {
      const reply = await cache.fetch(category)
      if (reply === undefined) throw new Error('fetch brought nothing')
      return reply
    },
    refuse: () => {
      throw new Error('lru-cache cannot refuse')
    },
    close: () => undefined,
  }
}
