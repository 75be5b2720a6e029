import { LRUCache } from 'lru-cache'
import type { Reply } from '../work.js'
import type { BuildStack } from './stack.js'

/** The bare store, awaited: what any cache that is asked for a promise costs at least. It knows no age and guards nothing. */
export const build: BuildStack = ({ operation, keep }) => {
  const cache = new LRUCache<string, Reply>({ max: keep })
  return {
    call: async (category) => {
      const held = cache.get(category)
      if (held !== undefined) return held
      const reply = await operation(category)
      cache.set(category, reply)
      return reply
    },
    refuse: () => {
      throw new Error('a bare store cannot refuse')
    },
    close: () => undefined,
  }
}
