import { createRegistry, identity, monotonic, type CallContext } from 'cofferdam'
import type { Data } from './forum.js'
import { postMessage, readRunId, readThread, readVersion, type ReadThread, type Redis } from './threads.js'

export function guardedForum(redis: Redis): Data {
  const registry = createRegistry()
  const runId = (): Promise<string> => readRunId(redis)
  const dependency = registry.dependency('redis', {
    // What came back is not what was lost, until a person has looked at it. Short times, so that it can be watched.
    circuit: { recover: 'operator', openFor: 1_000, openForAtMost: 2_000, rampFor: 2_000 },
    invariants: [
      identity('server', runId, { every: 1_000 }),
      monotonic('versions', () => readVersion(redis), { every: 1_000 }),
    ],
  })
  const load = dependency.wrap((_context: CallContext, thread: number) => readThread(redis, thread), {
    name: 'load-thread',
    key: (thread) => `${thread}`,
    scope: 'public',
    version: ({ version }) => version,
    // Between two polls another server could answer.
    invariant: identity('server', runId, { of: ({ server }: ReadThread) => server }),
  })
  const post = dependency.wrap(
    (_context: CallContext, thread: number, text: string) => postMessage(redis, thread, text),
    {
      name: 'post-message',
      idempotent: false,
      invariant: monotonic('versions'),
    },
  )
  return { registry, load, post }
}
