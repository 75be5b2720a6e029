import { cacheFile, createRegistry, identity } from 'cofferdam'
import type { Copy } from './copy.js'
import { readRunId, readThread, THREADS, type ReadThread, type Redis } from './threads.js'

/** A cache that is kept warm, and on disk in several generations; older values don't get into it. */
export async function guardedCopy(redis: Redis, file: string): Promise<Copy> {
  const registry = createRegistry()
  const dependency = registry.dependency('redis', {
    circuit: { recover: 'operator', openFor: 1_000, openForAtMost: 2_000, rampFor: 2_000 },
    invariants: [identity('server', () => readRunId(redis), { every: 2_000 })],
  })
  const thread = dependency.wrap((_context, number: number) => readThread(redis, number), {
    name: 'thread',
    key: (number) => `${number}`,
    scope: 'public',
    live: false,
    version: ({ version }: ReadThread) => version,
  })
  const kept = cacheFile(file, dependency, { every: 1_000 })
  await kept.load()
  for (let number = 0; number < THREADS; number++) thread.refresh([number], { every: 500 })
  return {
    registry,
    read: (number) => thread(number).catch(() => undefined),
    refused: () => thread.cache.counts()['olderVersion'] ?? 0,
    async leave() {
      await kept.close()
      await registry.close()
    },
  }
}
