import { readFile, rename, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Copy } from './copy.js'
import { readThread, THREADS, type Redis, type Thread } from './threads.js'

/** Of one generation: each takes the place of the one before. */
export async function unguardedCopy(redis: Redis, file: string): Promise<Copy> {
  let threads = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as Thread[],
    () => undefined,
  )
  const leaving = new AbortController()
  const copying = (async () => {
    while (!leaving.signal.aborted) {
      await sleep(500)
      const numbers = Array.from({ length: THREADS }, (_, thread) => thread)
      const now = await Promise.all(numbers.map((thread) => readThread(redis, thread))).catch(() => undefined)
      if (now === undefined) continue
      threads = now
      await writeFile(`${file}.new`, JSON.stringify(threads))
      await rename(`${file}.new`, file)
    }
  })()
  return {
    read: async (thread) => threads?.[thread],
    refused: () => 0,
    async leave() {
      leaving.abort()
      await copying
    },
  }
}
