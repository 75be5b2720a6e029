import type { Acknowledged, Mode } from 'cofferdam'
import type { Phase } from '../../replay/recording.js'
import type { Archive } from './archive.js'
import { threadsAt, type Half, type Variant } from './half.js'
import { accept, acknowledge, restore } from './operator.js'
import type { Thread } from './threads.js'

/** What was noticed in the course of it. */
export interface Seen {
  /** How long the start-up looped, ms, and the connections that it opened meanwhile. */
  looped: number
  connections: Record<Variant, number>
  /** Threads of the copy that are older than before Redis died. */
  wentBack: Record<Variant, number>
  /** Threads for which somebody had something newer than Redis. */
  restored: Record<Variant, number>
  /** What the operator was told before that, and after it. */
  before: Acknowledged | undefined
  after: Acknowledged | undefined
  /** What forum and copy said of Redis in the end. */
  trusted: Mode[]
}

/** What happens, and when. */
export function script(
  archive: Archive,
  { guarded, unguarded }: Readonly<Record<Variant, Half>>,
): { phases: Phase[]; seen: Seen } {
  const both = async <T>(of: (half: Half) => T | Promise<T>): Promise<Record<Variant, T>> => {
    const [one, other] = await Promise.all([of(guarded), of(unguarded)])
    return { guarded: one, unguarded: other }
  }
  const none = { guarded: 0, unguarded: 0 }
  const seen: Seen = {
    looped: 0,
    connections: none,
    wentBack: none,
    restored: none,
    before: undefined,
    after: undefined,
    trusted: [],
  }
  let began = 0
  let opened = none
  let copies: Record<Variant, Threads> = { guarded: [], unguarded: [] }

  async function stopArchive(): Promise<void> {
    began = performance.now()
    opened = await both(({ importer }) => importer.connections)
    await archive.stop()
  }

  async function respawnRedis(): Promise<void> {
    copies = await both(({ copy }) => threadsAt(copy.url))
    await both(async ({ redis }) => {
      await redis.kill()
      await redis.restart()
    })
  }

  async function repair(): Promise<void> {
    seen.connections = await both(({ importer }) => importer.connections)
    for (const variant of ['guarded', 'unguarded'] as const) seen.connections[variant] -= opened[variant]
    seen.looped = performance.now() - began
    await archive.start()

    const now = await both(({ copy }) => threadsAt(copy.url))
    seen.wentBack = {
      guarded: wentBack(copies.guarded, now.guarded),
      unguarded: wentBack(copies.unguarded, now.unguarded),
    }
    seen.before = await acknowledge(guarded.forum.url)
    seen.restored = await both(restore)
    seen.after = await acknowledge(guarded.forum.url)
    seen.trusted = await Promise.all([accept(guarded.forum.url), accept(guarded.copy.url)])
  }

  const phases: Phase[] = [
    { name: 'healthy', what: 'all is well', seconds: 5 },
    { name: 'looping', what: 'an archive stops, a start-up loops', seconds: 8, begin: stopArchive },
    { name: 'respawned', what: 'Redis dies and comes back old', seconds: 8, begin: respawnRedis },
    { name: 'repaired', what: 'what is left is put back', seconds: 8, begin: repair },
  ]
  return { phases, seen }
}

type Threads = readonly (Thread | null)[]

const wentBack = (before: Threads, after: Threads): number =>
  before.filter((thread, number) => (after[number]?.version ?? 0) < (thread?.version ?? 0)).length
