import { LRUCache } from 'lru-cache'
import CircuitBreaker from 'opossum'
import pLimit from 'p-limit'
import pTimeout from 'p-timeout'
import { fallbackReply, type Reply } from '../work.js'
import type { BuildStack } from './stack.js'

/** The four packages put round one another, the way one would without thinking about it. */
export const build: BuildStack = ({ operation, name, timeout, slots, fallback, neverTrip }) => {
  const limit = pLimit(slots)
  const cache = new LRUCache<string, Reply>({ max: 1_000 })
  const bounded = (category: string): Promise<Reply> => pTimeout(operation(category), { milliseconds: timeout })
  const breaker = new CircuitBreaker(bounded, {
    name,
    timeout: false,
    enableSnapshots: false,
    ...(neverTrip && { volumeThreshold: 1_000_000_000 }),
  })
  const guarded = async (category: string): Promise<Reply> => {
    const reply = await breaker.fire(category)
    cache.set(category, reply)
    return reply
  }
  const call = (category: string): Promise<Reply> => limit(guarded, category)
  return {
    call: fallback ? (category) => call(category).catch(() => cache.get(category) ?? fallbackReply) : call,
    refuse: () => breaker.open(),
    close: () => breaker.shutdown(),
  }
}
