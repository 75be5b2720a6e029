// A schema upgrade locks a table, and takes the site with it, and another site too. See docs/incidents/zdz.md.
import { startPostgres } from '../../../../test/support/servers/postgres.js'
import type { Recording } from '../../replay/recording.js'
import { Started } from '../../replay/started.js'
import { playUnderLoad } from '../../replay/under-load.js'
import type { Incident, Print, Replay } from '../incident.js'
import { ALONE, outcome, type Played } from './outcome.js'
import { script, type Seen } from './script.js'
import { startApart, startTogether, type Half } from './second-sites.js'
import { guardedByPeers, halves, startVariants } from './variant.js'
import { goodWithin, pageVisitor, secondVisitor, warmUp, type Callbacks } from './visitors.js'

const perSecond = 10

export const zdz: Incident = {
  name: 'zdz',
  title: 'ZDZ, the table lock',
  parts: ['postgres'],
  play: async (print) => replay(await playHalves(print), await playPeers(print)),
}

/** Without the peers: what was, and what is guarded. */
export const playHalves = (print: Print): Promise<Played> => onPostgres(print, playHalvesOn)

const playPeers = (print: Print): Promise<Recording[]> => onPostgres(print, playPeersOn)

export function replay(played: Played, others: readonly Recording[]): Replay {
  const recordings = [...played.pages, ...others]
  return { recordings, perSecond, counted: 'good pages a second', ...outcome(played, others) }
}

async function onPostgres<T>(
  print: Print,
  play: (started: Started, url: Awaited<ReturnType<typeof startPostgres>>, print: Print) => Promise<T>,
): Promise<T> {
  const started = new Started()
  try {
    print('a PostgreSQL server starts, and each portal gets a database of its own')
    return await play(started, started.add(await startPostgres({ args: ['-c', 'max_connections=300'] })), print)
  } finally {
    await started.stop()
  }
}

async function playHalvesOn(
  started: Started,
  server: Awaited<ReturnType<typeof startPostgres>>,
  print: Print,
): Promise<Played> {
  const variants = await startVariants(halves, server, started)
  const seen: Seen = { lockEnded: Number.NaN }
  const callbacks = new Map<string, Callbacks>(variants.map(({ name }) => [name, { saved: [] }]))
  const recovered = new Map<string, number>()
  for (const { name, registry } of variants)
    registry?.on('flip', ({ dependency, mode, cause }) => {
      print(`  ${name}: ${dependency} is ${mode}: ${cause.reason}`)
      if (mode === 'available') recovered.set(name, performance.now())
    })
  const seconds: Record<string, string> = {}
  for (const half of ['guarded', 'unguarded'] satisfies Half[]) {
    const portal = variants.find(({ name }) => name === half)!.url
    seconds[`${half}, second site in the same process`] = await startTogether(half, portal, started)
    seconds[`${half}, second site in its own`] = await startApart(half, portal, started)
  }
  seconds[ALONE] = await startApart('guarded', variants.find(({ name }) => name === 'unguarded')!.url, started)
  const loads = {
    ...Object.fromEntries(variants.map(({ name, url }) => [name, pageVisitor(url, callbacks.get(name)!)])),
    ...Object.fromEntries(Object.entries(seconds).map(([name, url]) => [name, secondVisitor(url)])),
  }
  await warmUp(loads)
  const recordings = await playUnderLoad({
    loads,
    perSecond,
    goodWithin,
    phases: script(variants, seen, true),
    print,
    shown: ['guarded', 'unguarded'],
  })
  const pages = recordings.filter(({ variant }) => variant in halves)
  return { pages, seconds: recordings.filter(({ variant }) => variant in seconds), seen, callbacks, recovered }
}

async function playPeersOn(
  started: Started,
  server: Awaited<ReturnType<typeof startPostgres>>,
  print: Print,
): Promise<Recording[]> {
  const variants = await startVariants(guardedByPeers, server, started)
  const loads = Object.fromEntries(variants.map(({ name, url }) => [name, pageVisitor(url, { saved: [] })]))
  await warmUp(loads)
  return playUnderLoad({
    loads,
    perSecond,
    goodWithin,
    phases: script(variants, { lockEnded: Number.NaN }, false),
    print,
    shown: variants.map(({ name }) => name),
  })
}
