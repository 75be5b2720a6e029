import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import type { BuildStack } from './stack.js'

/** Its memory layer alone, without serialising, with a grace period: its stale values on failure. */
export const build: BuildStack = ({ operation, keep, freshFor }) => {
  const bento = new BentoCache({
    default: 'memory',
    ttl: freshFor,
    grace: 2 * freshFor,
    stores: { memory: bentostore().useL1Layer(memoryDriver({ maxItems: keep, serialize: false })) },
  })
  return {
    call: (category) => bento.getOrSet({ key: category, factory: () => operation(category) }),
    refuse: () => {
      throw new Error('bentocache cannot refuse')
    },
    close: () => bento.disconnectAll(),
  }
}
