import { createCache } from 'async-cache-dedupe'
import type { BuildStack } from './stack.js'

export const build: BuildStack = ({ operation, keep, freshFor }) => {
  const cache = createCache({
    ttl: freshFor / 1_000,
    stale: (2 * freshFor) / 1_000,
    storage: { type: 'memory', options: { size: keep } },
  }).define('load', (category: string) => operation(category))
  return {
    call: (category) => cache.load(category),
    refuse: () => {
      throw new Error('async-cache-dedupe cannot refuse')
    },
    close: () => undefined,
  }
}
