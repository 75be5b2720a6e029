import CircuitBreaker from 'opossum'
import { fallbackReply } from '../work.js'
import type { BuildStack } from './stack.js'

/**
 * Time-out, capacity and fallback, as its readme shows, with the snapshot interval turned off (its own advice
 * when nobody listens): that would sort every latency of the window once a second, also while others are measured.
 *
 * It has no signal of its own for each call, so an operation that reads one gets the signal of a controller made
 * for the call, which is what its users do (and then have to abort it themselves).
 */
export const build: BuildStack = (options) => buildWith(options, true)

export function buildWith(
  { operation, name, timeout, slots, readsSignal, fallback, neverTrip }: Parameters<BuildStack>[0],
  rollingPercentilesEnabled: boolean,
): ReturnType<BuildStack> {
  const breaker = new CircuitBreaker(operation, {
    name,
    timeout,
    capacity: slots,
    enableSnapshots: false,
    rollingPercentilesEnabled,
    ...(neverTrip && { volumeThreshold: 1_000_000_000 }),
  })
  if (fallback) breaker.fallback(() => fallbackReply)
  return {
    call: readsSignal
      ? (category) => breaker.fire(category, new AbortController().signal)
      : (category) => breaker.fire(category),
    refuse: () => breaker.open(),
    close: () => breaker.shutdown(),
  }
}
