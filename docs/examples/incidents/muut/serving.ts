import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Express } from 'express'
import { endChild, endWithParent, startChild } from '../../replay/child.js'
import { serve } from '../../replay/serve.js'

export interface Serving {
  readonly url: string
  stop: () => Promise<void>
}

/** A process that serves an app; resolves when it does. */
export async function startServing(file: 'forum.ts' | 'copy.ts', args: readonly string[]): Promise<Serving> {
  const child = startChild(fileURLToPath(new URL(file, import.meta.url)), args)
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${file} has ended`)
  })
  const [url] = (await Promise.race([once(child, 'message'), ended])) as [string]
  ended.catch(() => undefined)
  return { url, stop: () => endChild(child) }
}

/** For that process. @param leave runs before it ends in good order */
export async function serveFromHere(app: Express, leave: () => Promise<void> = async () => undefined): Promise<void> {
  process.on('SIGTERM', () => void leave().finally(() => process.exit()))
  endWithParent()
  const { url } = await serve(app)
  process.send?.(url)
}
