import { on } from 'node:events'
import { fileURLToPath } from 'node:url'
import { endChild, startChild } from '../../replay/child.js'
import type { Behaviour, UpstreamName } from './behaviour.js'
import type { Order, Report } from './process.js'

export interface Upstreams {
  urls: Record<UpstreamName, string>
  behaviour: (name: UpstreamName) => Behaviour
  /** Resolves when the upstream behaves so. */
  behave: (name: UpstreamName, behaviour: Behaviour) => Promise<void>
  stop: () => Promise<void>
}

const patience = 10_000

export async function startUpstreams(): Promise<Upstreams> {
  const child = startChild(fileURLToPath(new URL('process.ts', import.meta.url)))

  async function reported<R extends Report>(wanted: (report: Report) => report is R): Promise<R> {
    for await (const [message] of on(child, 'message', { close: ['exit'], signal: AbortSignal.timeout(patience) })) {
      if (wanted(message as Report)) return message as R
    }
    throw new Error('The upstreams have ended')
  }

  const current: Record<UpstreamName, Behaviour> = {
    articles: 'healthy',
    recommendations: 'healthy',
    activity: 'healthy',
  }
  const { ports } = await reported((report) => 'ports' in report)
  const url = (name: UpstreamName): string => `http://127.0.0.1:${ports[name]}`
  let orders = 0

  return {
    urls: { articles: url('articles'), recommendations: url('recommendations'), activity: url('activity') },
    behaviour: (name) => current[name],
    async behave(name, behaviour) {
      const id = ++orders
      const done = reported((report): report is { done: number } => 'done' in report && report.done === id)
      child.send({ id, name, behaviour } satisfies Order)
      await done
      current[name] = behaviour
    },
    stop: () => endChild(child),
  }
}
