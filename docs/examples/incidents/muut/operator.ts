import { setTimeout as sleep } from 'node:timers/promises'
import type { Acknowledged, Mode } from 'cofferdam'
import { threadsAt, type Half } from './half.js'
import { isReady, openRedis, restoreThread, THREADS, type Thread } from './threads.js'

const patience = 10_000

/** Puts back what forum or copy have that is newer than what Redis has. @returns how many threads that was */
export async function restore({ redis, forum, copy }: Half): Promise<number> {
  const sources = await Promise.all([threadsAt(forum.url), threadsAt(copy.url)])
  const client = openRedis(redis.url)
  await isReady(client)
  let restored = 0
  for (let thread = 0; thread < THREADS; thread++) {
    const kept = sources.flatMap((threads) => threads[thread] ?? [])
    const newest = kept.reduce<Thread | undefined>((a, b) => (a && a.version >= b.version ? a : b), undefined)
    if (newest && (await restoreThread(client, thread, newest))) restored++
  }
  client.destroy()
  return restored
}

/** Whether what was broken in Redis holds again, in the eyes of one process. */
export const acknowledge = (url: string): Promise<Acknowledged & Modes> => act(url, { note: 'is it well?' })

/** It is another server, and that is right. Until that process trusts it again. */
export async function accept(url: string): Promise<Mode> {
  const end = performance.now() + patience
  for (;;) {
    const { modes } = await act(url, { note: 'restored from what the forum had', accept: true })
    if (modes.redis === 'available' || performance.now() > end) return modes.redis
    await sleep(200)
  }
}

interface Modes {
  modes: { redis: Mode }
}

async function act(url: string, fields: object): Promise<Acknowledged & Modes> {
  const response = await fetch(`${url}/ops`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ action: 'acknowledge', name: 'redis', by: 'ada', ...fields }),
  })
  if (!response.ok) throw new Error(`the operator was refused: ${response.status} ${await response.text()}`)
  return (await response.json()) as Acknowledged & Modes
}
