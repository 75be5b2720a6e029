import { setTimeout as sleep } from 'node:timers/promises'
import { createRegistry, type Wrapped } from 'cofferdam'
import { inTurn, nobody, pass, patience, type Balancer, type Passed } from './balancer.js'

interface Gated {
  readonly name: string
  readonly url: string
  readonly ask: Wrapped<[path: string], Passed>
  /** By its own word. */
  ready: boolean
}

/** How often each instance is asked whether it is ready, ms. */
const EVERY = 250

/**
 * The same with a dependency for each instance. One that isn't ready is sent nothing; one that has become ready begins
 * with one page at a time, and has more from moment to moment.
 *
 * @param rampFor until it has its full share, ms
 */
export function guardedBalancer(rampFor = 3_000): Balancer {
  const registry = createRegistry()
  const instances: Gated[] = []
  const over = new AbortController()
  const watching: Promise<void>[] = []
  let turn = 0

  /** Until the end. */
  async function watch(instance: Gated): Promise<void> {
    for (;;) {
      const ready = await isReady(instance.url)
      if (ready && !instance.ready) registry.clearMode(instance.name)
      if (!ready && instance.ready) shut(instance.name)
      instance.ready = ready
      await sleep(EVERY, undefined, { signal: over.signal })
    }
  }

  const shut = (name: string): void => {
    registry.setMode(name, 'unavailable', { reason: 'it is not ready', for: Infinity })
  }

  return {
    async add(name, url) {
      const dependency = registry.dependency(name, {
        timeout: patience,
        // A full one doesn't have pages wait: there are others.
        bulkhead: { slots: 20, queue: 0 },
        circuit: {
          rampFor,
          isFailure: ({ error, value }) => error !== undefined || (value as Passed).status >= 500,
        },
      })
      const ask = dependency.wrap(({ signal }, path: string) => pass(name, `${url}${path}`, signal), { name: 'page' })
      const instance = { name, url, ask, ready: await isReady(url) }
      if (!instance.ready) shut(name)
      instances.push(instance)
      watching.push(watch(instance).catch(() => undefined))
    },
    async answer(path) {
      for (const { ask } of inTurn(instances, turn++)) {
        const answer = await ask(path).catch(() => undefined)
        if (answer !== undefined) return answer
      }
      return nobody
    },
    async stop() {
      over.abort()
      await Promise.all(watching)
      await registry.close()
    },
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(1_000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}
