import { setTimeout as sleep } from 'node:timers/promises'
import type { HistoryEntry } from 'cofferdam'
import { startSite, variants, type Site, type Variant } from '../site.js'
import { upstreamNames } from '../upstreams/behaviour.js'
import { startVisitors, type Visit } from '../visitors/visitors.js'
import { progressLines } from './progress.js'
import { script, visitsPerSecond, type Phase } from './script.js'

/** A phase as it was played, on the clock of `performance.now()`. */
export interface PlayedPhase {
  name: string
  what: string
  from: number
  to: number
}

export interface Played {
  phases: PlayedPhase[]
  visits: Record<Variant, Visit[]>
  /** When the script began, wall time. */
  began: number
  history: readonly HistoryEntry[]
}

/** Plays the script on both portals at the same time, under the same load. */
export async function play(print: (line: string) => void): Promise<Played> {
  const site = await startSite()
  const began = Date.now()
  const visits: Played['visits'] = { guarded: [], unguarded: [] }
  const progress = progressLines(visits)
  const visitors = variants.map((variant) =>
    startVisitors(site.urls[variant], visitsPerSecond, (visit) => visits[variant].push(visit)),
  )
  const stopVisitors = (): Promise<unknown> => Promise.all(visitors.map((each) => each.stop()))
  try {
    const phases: PlayedPhase[] = []
    for (const phase of script) {
      print(`\n${phase.name}: ${phase.what}`)
      phases.push(
        await playPhase(site, phase, () => {
          print(progress())
        }),
      )
    }
    await stopVisitors()
    return { phases, visits, began, history: site.registry.history() }
  } finally {
    await stopVisitors()
    await site.stop()
  }
}

async function playPhase(site: Site, phase: Phase, eachSecond: () => void): Promise<PlayedPhase> {
  const { name, what, seconds, behaviours } = phase
  await Promise.all(upstreamNames.map((upstream) => site.upstreams.behave(upstream, behaviours[upstream] ?? 'healthy')))
  const from = performance.now()
  for (let second = 1; second <= seconds; second++) {
    await sleep(Math.max(0, from + second * 1_000 - performance.now()))
    eachSecond()
  }
  return { name, what, from, to: performance.now() }
}
