/** The forum: its threads are in Redis. `forum.ts VARIANT REDIS` */
import type { Registry } from 'cofferdam'
import { cofferdam } from 'cofferdam/express'
import express, { type RequestHandler } from 'express'
import { guardedForum } from './forum-guarded.js'
import { unguardedForum } from './forum-unguarded.js'
import { serveFromHere } from './serving.js'
import { isReady, openRedis, type Thread } from './threads.js'

/** How it gets at its data; all that differs between the two. */
export interface Data {
  load: (thread: number) => Promise<Thread>
  post: (thread: number, text: string) => Promise<unknown>
  registry?: Registry
}

const [variant, url] = process.argv.slice(2)
const redis = openRedis(url!)
await isReady(redis)
const { load, post, registry }: Data = variant === 'guarded' ? guardedForum(redis) : unguardedForum(redis)

const app = express()
const guard = registry && cofferdam({ registry })
if (guard) {
  app.use('/ops', guard.operator({ authorize: () => ({}) }))
  app.use(guard)
}
const writable: RequestHandler[] = guard ? [guard.requires('redis')] : []

app.get('/threads/:thread', async (request, response) => {
  response.json(await load(Number(request.params['thread'])))
})
// Whoever has posted is shown the thread, with the message in it.
app.post('/threads/:thread', ...writable, express.json(), async (request, response) => {
  const thread = Number(request.params['thread'])
  await post(thread, (request.body as { text: string }).text)
  response.json(await load(thread))
})
if (guard) app.use(guard.errors())
// Express' own would put stacks on the terminal.
const failed: express.ErrorRequestHandler = (_error, _request, response, _next) => {
  response.sendStatus(500)
}
app.use(failed)

await serveFromHere(app)
