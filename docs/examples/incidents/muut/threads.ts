import { createClient } from 'redis'

/** How many there are; each has one message to begin with. */
export const THREADS = 10

/** A thread of a forum, with the version of its last change: versions are counted over all threads. */
export interface Thread {
  version: number
  messages: string[]
}

export type Redis = ReturnType<typeof openRedis>

/** Goes on trying to connect; while it isn't connected, commands fail at once. */
export function openRedis(url: string) {
  const client = createClient({ url, disableOfflineQueue: true })
  client.on('error', () => undefined)
  void client.connect().catch(() => undefined)
  return client
}

export const isReady = (redis: Redis): Promise<void> =>
  redis.isReady ? Promise.resolve() : new Promise((resolve) => void redis.once('ready', resolve))

const key = (thread: number): string => `thread:${thread}`

const append = `
local thread = cjson.decode(redis.call('GET', KEYS[1]))
thread.version = redis.call('INCR', KEYS[2])
table.insert(thread.messages, ARGV[1])
redis.call('SET', KEYS[1], cjson.encode(thread))
return thread.version`

/** @returns the version that the thread has now */
export async function postMessage(redis: Redis, thread: number, text: string): Promise<number> {
  return Number(await redis.eval(append, { keys: [key(thread), 'version'], arguments: [text] }))
}

/** With the identity of the server that it came from. */
export interface ReadThread extends Thread {
  server: string
}

export async function readThread(redis: Redis, thread: number): Promise<ReadThread> {
  const replies = await redis.multi().get(key(thread)).info('server').exec()
  const [text, info] = replies as unknown as [string, string]
  return { ...(JSON.parse(text) as Thread), server: runIdIn(info) }
}

export const readVersion = async (redis: Redis): Promise<number> => Number(await redis.get('version'))

/** Another one after each start. */
export const readRunId = async (redis: Redis): Promise<string> => runIdIn(await redis.info('server'))

/** Unless what is there is as new. */
export async function restoreThread(redis: Redis, thread: number, kept: Thread): Promise<boolean> {
  if ((await readThread(redis, thread)).version >= kept.version) return false
  await redis.set(key(thread), JSON.stringify({ version: kept.version, messages: kept.messages }))
  if ((await readVersion(redis)) < kept.version) await redis.set('version', kept.version)
  return true
}

/** The data as they were when the dump was taken, the last one that ever was. */
export async function seed(redis: Redis): Promise<void> {
  for (let thread = 0; thread < THREADS; thread++)
    await redis.set(key(thread), JSON.stringify({ version: thread + 1, messages: ['an old message'] }))
  await redis.set('version', THREADS)
  await redis.sendCommand(['SAVE'])
}

const runIdIn = (info: string): string => /^run_id:(\w+)/m.exec(info)![1]!
