/**
 * The copy, which has the part of Redis' slaves and of the hourly backup: it takes over what changes, and writes it to
 * disk. `copy.ts VARIANT REDIS FILE`
 */
import type { Registry } from 'cofferdam'
import { cofferdam } from 'cofferdam/express'
import express from 'express'
import { guardedCopy } from './copy-guarded.js'
import { unguardedCopy } from './copy-unguarded.js'
import { serveFromHere } from './serving.js'
import { openRedis, type Thread } from './threads.js'

/** What it holds, and how. */
export interface Copy {
  /** What there is of a thread. */
  read: (thread: number) => Promise<Thread | undefined>
  /** Older values that were not taken over. */
  refused: () => number
  leave: () => Promise<void>
  registry?: Registry
}

const [variant, url, file] = process.argv.slice(2)
const redis = openRedis(url!)
const copy: Copy = await (variant === 'guarded' ? guardedCopy : unguardedCopy)(redis, file!)

const app = express()
const guard = copy.registry && cofferdam({ registry: copy.registry })
if (guard) app.use('/ops', guard.operator({ authorize: () => ({}) }))
app.get('/threads/:thread', async (request, response) => {
  response.json((await copy.read(Number(request.params['thread']))) ?? null)
})
app.get('/refused', (_request, response) => {
  response.json(copy.refused())
})

await serveFromHere(app, () => copy.leave())
