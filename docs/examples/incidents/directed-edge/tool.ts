/** The checker, a process of its own: looks through all databases and rebuilds each. */
import { open, rm } from 'node:fs/promises'
import { endWithParent } from '../../replay/child.js'
import { checkAccount, customers, filesOf } from './database.js'
import { rebuild } from './rebuild.js'

export interface Repairing {
  variant: 'unguarded' | 'guarded'
  directory: string
  /** Of the serving process. */
  url: string
  secret: string
  msPerRecord: number
}

/** What was done to one database, in wall time. */
export interface Repaired {
  database: string
  from: number
  to: number
}

/** For how long it has an account disabled; in its tests, with few records, that was ample. */
const ALONE_FOR = 300
/** How long it keeps the store unless it says that it still needs it, ms. */
const LEASE = 5_000

endWithParent()
const { variant, directory, url, secret, msPerRecord } = JSON.parse(process.argv[2]!) as Repairing

async function post(path: string, body: object): Promise<unknown> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${secret}` }
  const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${await response.text()}`)
  return response.status === 204 ? undefined : response.json()
}

async function repair(database: string): Promise<void> {
  const from = Date.now()
  await rebuild(directory, database, msPerRecord)
  process.send?.({ database, from, to: Date.now() } satisfies Repaired)
}

/** Takes a lock, and is given it: whoever serves the files never asks for one. */
async function lockAndRepair(database: string): Promise<void> {
  // It may be restarting just now; the tool was in no doubt.
  await post(`/accounts/${database}/disable`, { ms: ALONE_FOR }).catch(() => undefined)
  const { lock } = filesOf(directory, database)
  await (await open(lock, 'wx')).close()
  await repair(database)
  await rm(lock)
}

/** Begins when nobody is at the files any more, and goes on only as long as it knows that. */
async function drainAndRepair(databases: readonly string[]): Promise<void> {
  const asked = { action: 'drain', name: 'store', reason: 'the indexes are rebuilt', for: LEASE }
  const { token } = (await post('/ops', asked)) as { token: string }
  for (const database of databases) {
    await repair(database)
    await post('/ops', { action: 'drain', name: 'store', token, for: LEASE })
  }
  await post('/ops', { action: 'release', name: 'store', token })
}

const databases = [checkAccount, ...customers]
if (variant === 'guarded') await drainAndRepair(databases)
else for (const database of databases) await lockAndRepair(database)
process.disconnect()
