import { createRegistry } from 'cofferdam'
import { fallbackReply } from '../work.js'
import type { BuildStack } from './stack.js'

/** As in an app: one registry for every dependency of the process. */
const registry = createRegistry()

/** Circuit, bulkhead with its queue, time-out, stale cache, fallback, all reporting to the registry. */
export const build: BuildStack = ({
  operation,
  name,
  timeout,
  slots,
  readsSignal,
  fallback,
  neverTrip,
  freshFor,
  keep,
}) => {
  const dependency = registry.dependency(name, {
    timeout,
    bulkhead: { slots },
    stale: { freshFor, max: keep, staleFor: Math.max(3_600_000, 2 * freshFor) },
    ...(neverTrip && { circuit: { failureRate: 1, consecutiveFailures: false } }),
  })
  const call = dependency.wrap(
    readsSignal
      ? ({ signal }, category: string) => operation(category, signal)
      : (_context, category: string) => operation(category),
    {
      name: 'load',
      key: (category) => category,
      scope: 'public',
      ...(fallback && { fallback: { value: fallbackReply } }),
    },
  )
  return {
    call: (category) => call(category),
    refuse: () => registry.setMode(name, 'unavailable', { reason: 'measuring refusals' }),
    close: () => dependency.close(),
  }
}
