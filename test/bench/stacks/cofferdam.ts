import { createRegistry, type Dependency } from 'cofferdam'
import { Inbound } from 'cofferdam/adapter'
import { fallbackReply } from '../work.js'
import type { BuildStack, StackOptions } from './stack.js'

/** As in an app: one registry for every dependency of the process, and one guard before its routes. */
export const registry = createRegistry()
const inbound = new Inbound({ registry }, 'bench')

/** Circuit, bulkhead with its queue, time-out, stale cache, fallback, all reporting to the registry. */
export const build: BuildStack = (options) => guard(dependencyOf(options), options)

export function dependencyOf({ name, timeout, slots, queue, neverTrip, freshFor, keep }: StackOptions): Dependency {
  return registry.dependency(name, {
    timeout,
    bulkhead: { slots, queue },
    stale: { freshFor, max: keep, staleFor: Math.max(3_600_000, 2 * freshFor) },
    ...(neverTrip && { circuit: { failureRate: 1, consecutiveFailures: false } }),
  })
}

const key = (category: string): string => category

export function guard(
  dependency: Dependency,
  { operation, name, readsSignal, fallback }: StackOptions,
): ReturnType<BuildStack> {
  const call = dependency.wrap(
    readsSignal
      ? ({ signal }, category: string) => operation(category, signal)
      : (_context, category: string) => operation(category),
    {
      name: 'load',
      key,
      scope: 'public',
      ...(fallback && { fallback: { value: fallbackReply } }),
    },
  )
  return {
    call,
    refuse: () => registry.setMode(name, 'unavailable', { reason: 'measuring refusals' }),
    close: () => dependency.close(),
    inRequest,
  }
}

/** What the Express guard does round a handler that it follows, without Express. */
async function inRequest<R>(work: () => Promise<R>): Promise<R> {
  const visit = inbound.enter({}, () => undefined)
  visit.began()
  try {
    return await visit.scope.run(work)
  } finally {
    visit.settled()
    visit.close(undefined)
  }
}
