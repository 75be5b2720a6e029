import { join } from 'node:path'
import { startRedis } from '../../../../test/support/servers/redis.js'
import type { Server } from '../../../../test/support/servers/server.js'
import type { Started } from '../../replay/started.js'
import { HealthyClient } from './healthy-client.js'
import { startServing, type Serving } from './serving.js'
import { Supervisor } from './supervisor.js'
import { isReady, openRedis, seed, THREADS, type Thread } from './threads.js'
import { Visitors } from './visitors.js'

export type Variant = 'unguarded' | 'guarded'

/** A Redis, and the three processes that live by it. */
export interface Half {
  readonly redis: Server
  readonly forum: Serving
  readonly copy: Serving
  readonly importer: Supervisor
  readonly healthy: HealthyClient
  readonly visitors: Visitors
  /** What a process of the copy finds that starts while Redis is down. */
  copyOnDisk: () => Promise<(Thread | null)[]>
}

/** Room for so many clients; then as now Redis' own limit is 10,000. */
const CLIENTS = 64

export async function startHalf(variant: Variant, archivePort: number, started: Started): Promise<Half> {
  const redis = started.add(await startRedis({ args: ['--maxclients', `${CLIENTS}`] }))
  const client = openRedis(redis.url)
  await isReady(client)
  await seed(client)
  client.destroy()

  // In the server's directory, which goes when it does, however we end.
  const file = (name: string): string => join(redis.directory, name)
  const startCopy = (): Promise<Serving> => startServing('copy.ts', [variant, redis.url, file('copy')])
  const [forum, copy] = await Promise.all([startServing('forum.ts', [variant, redis.url]), startCopy()])
  started.add(forum)
  started.add(copy)
  const stateFile = variant === 'guarded' ? [file('importer')] : []
  const importer = started.add(new Supervisor([redis.url, `${archivePort}`, ...stateFile]))
  const healthy = started.add(new HealthyClient(redis))
  const visitors = new Visitors(forum.url)

  async function copyOnDisk(): Promise<(Thread | null)[]> {
    await copy.stop()
    await redis.kill()
    const again = started.add(await startCopy())
    return threadsAt(again.url)
  }
  return { redis, forum, copy, importer, healthy, visitors, copyOnDisk }
}

export function threadsAt(url: string): Promise<(Thread | null)[]> {
  const numbers = Array.from({ length: THREADS }, (_, thread) => thread)
  return Promise.all(
    numbers.map(async (thread) => (await fetch(`${url}/threads/${thread}`)).json() as Promise<Thread | null>),
  )
}
