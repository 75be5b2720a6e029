import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endChild, startChild } from '../../replay/child.js'
import type { Visit } from '../../replay/visitors.js'
import { guard } from '../../../../test/support/servers/guardian.js'
import { freePort } from '../../../../test/support/servers/port.js'
import { checkAccount, customers, Database } from './database.js'
import { create, textOf } from './damage.js'
import { recordsAtFirst, startReaders, startWriters, type Sent } from './load.js'
import { localMonitor, outsideMonitor, type Monitor } from './monitors.js'
import type { Told } from './guarded.js'
import type { Written } from './store.js'
import type { Repaired, Repairing } from './tool.js'
import { Worker } from './worker.js'

export type Variant = Repairing['variant']

/** One variant: its files, its process, who watches it, and who comes to it. */
export interface Site {
  readonly variant: Variant
  readonly directory: string
  readonly worker: Worker
  readonly visits: readonly Visit[]
  readonly sent: Readonly<Sent>
  readonly outside: Monitor
  readonly local: Monitor
  readonly written: readonly Written[]
  readonly repaired: readonly Repaired[]
  /** When on the clock of `performance.now()`. */
  readonly told: readonly (Told & { at: number })[]
  /** Runs the checker to its end. */
  repair: () => Promise<void>
  /** Nobody comes any more, and nobody watches. */
  quiet: () => Promise<void>
  stop: () => Promise<void>
}

const msPerRecord = 6

export async function startSite(variant: Variant): Promise<Site> {
  const directory = await mkdtemp(join(tmpdir(), 'cofferdam-directed-edge-'))
  // Removes the directory however this process ends.
  const guardian = guard(directory, 'SIGTERM')
  await create(directory, checkAccount, 1)
  for (const name of customers) await create(directory, name, recordsAtFirst)

  const written: Written[] = []
  const told: (Told & { at: number })[] = []
  const serving = { variant, directory, port: await freePort(), secret: crypto.randomUUID() }
  const worker = new Worker(serving, (report) => {
    if ('written' in report) written.push(report.written)
    if ('told' in report) told.push({ ...report.told, at: performance.now() })
  })
  await worker.start()

  const visits: Visit[] = []
  const sent: Sent = { acknowledged: [], refused: 0 }
  const visitors = [startReaders(worker.url, (visit) => visits.push(visit)), startWriters(worker.url, sent)]
  const outside = outsideMonitor(worker.url)
  const local = localMonitor(worker, variant)
  const repaired: Repaired[] = []
  let tool: ReturnType<typeof startChild> | undefined

  const quiet = async (): Promise<void> => {
    await Promise.all([...visitors, outside, local].map((each) => each.stop()))
  }
  return {
    ...{ variant, directory, worker, visits, sent, outside, local, written, repaired, told, quiet },
    async repair() {
      const asked: Repairing = { ...serving, url: worker.url, msPerRecord }
      tool = startChild(fileURLToPath(new URL('tool.ts', import.meta.url)), [JSON.stringify(asked)])
      tool.on('message', (one: Repaired) => repaired.push(one))
      // Its reports are all here when the channel has ended.
      await Promise.all([once(tool, 'exit'), once(tool, 'disconnect')])
      if (tool.exitCode !== 0) throw new Error(`the ${variant} repair failed`)
    },
    async stop() {
      await quiet()
      if (tool !== undefined) await endChild(tool)
      await worker.stop()
      guardian.release()
      await rm(directory, { recursive: true, force: true, maxRetries: 10 })
    },
  }
}

/** What was acknowledged, or there from the beginning, and can't be read any more. */
export async function lost({ directory, sent }: Site): Promise<number> {
  const databases = new Map<string, Database>(customers.map((name) => [name, new Database(directory, name)]))
  const atFirst = customers.flatMap((database) =>
    Array.from({ length: recordsAtFirst }, (_, index) => ({ database, id: index + 1 })),
  )
  let missing = 0
  for (const { database, id } of [...atFirst, ...sent.acknowledged]) {
    const text = await databases
      .get(database)!
      .read(id)
      .catch(() => undefined)
    if (text !== textOf(database, id)) missing++
  }
  return missing
}

/** Writes that reached a database while the checker was at it. */
export const writesDuringRepair = ({ written, repaired }: Site): number =>
  written.filter((write) =>
    repaired.some(({ database, from, to }) => database === write.database && write.to > from && write.from < to),
  ).length
