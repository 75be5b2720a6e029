import type { HistoryEntry } from 'cofferdam'
import { progressLines } from '../../replay/progress.js'
import { playPhases, type Recording } from '../../replay/recording.js'
import type { Visit } from '../../replay/visitors.js'
import { startSite, variants, type Variant } from '../site.js'
import { startVisitors } from '../visitors/visitors.js'
import { script, visitsPerSecond } from './script.js'

export interface Played {
  recordings: Recording[]
  /** When the script began, wall time. */
  began: number
  history: readonly HistoryEntry[]
}

/** Plays the script on both portals at the same time, under the same load. */
export async function play(print: (line: string) => void): Promise<Played> {
  const site = await startSite()
  const began = Date.now()
  const visits: Record<Variant, Visit[]> = { guarded: [], unguarded: [] }
  const progress = progressLines(visits, visitsPerSecond)
  const visitors = variants.map((variant) =>
    startVisitors(site.urls[variant], visitsPerSecond, (visit) => visits[variant].push(visit)),
  )
  const stopVisitors = (): Promise<unknown> => Promise.all(visitors.map((each) => each.stop()))
  try {
    const phases = await playPhases(script(site.upstreams), print, () => {
      print(progress())
    })
    await stopVisitors()
    const recordings = variants.map((variant) => ({ variant, phases, visits: visits[variant] }))
    return { recordings, began, history: site.registry.history() }
  } finally {
    await stopVisitors()
    await site.stop()
  }
}
