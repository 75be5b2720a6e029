/**
 * The process with the bug: it needs Redis, and an archive that isn't critical. What fails in its start-up makes it
 * begin anew, and what was opened stays open. In the end it dies of it. `importer.ts REDIS ARCHIVE_PORT [STATE_FILE]`
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRegistry, keepTrying } from 'cofferdam'
import { createClient } from 'redis'
import { endWithParent } from '../../replay/child.js'
import { BACKOFF, CONNECTIONS } from './pace.js'

const PAUSE = 25
const LIFETIME = 2_500

const [url, port, stateFile] = process.argv.slice(2)
endWithParent()

async function connectToRedis(): Promise<void> {
  await Promise.all(Array.from({ length: CONNECTIONS }, connectOnce))
}

async function connectOnce(): Promise<void> {
  const client = createClient({ url: url!, socket: { reconnectStrategy: false } })
  client.on('error', () => undefined)
  // Nobody is there to hear it any more when the replay was interrupted.
  process.send?.('connects', undefined, undefined, () => undefined)
  await client.connect()
}

const dependency = createRegistry().dependency('redis')
/** The whole difference between the two. */
const connected =
  stateFile === undefined
    ? connectToRedis
    : () => keepTrying(connectToRedis, { dependency, stateFile, backoff: BACKOFF })

async function askArchive(): Promise<void> {
  const archive = connect(Number(port), '127.0.0.1')
  await once(archive, 'connect')
  archive.on('error', () => undefined).on('close', () => void startUp())
}

let dying: NodeJS.Timeout | undefined

async function startUp(): Promise<void> {
  dying ??= setTimeout(() => process.exit(1), LIFETIME)
  try {
    await connected()
    await askArchive()
    clearTimeout(dying)
    dying = undefined
  } catch {
    await sleep(PAUSE)
    void startUp()
  }
}

await startUp()
