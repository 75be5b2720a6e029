import { progressLines } from './progress.js'
import { playPhases, type Phase, type Recording } from './recording.js'
import { startVisitors, type Load, type Visit } from './visitors.js'

export interface UnderLoad {
  /** By what they are called in the table and in the picture. */
  loads: Readonly<Record<string, Load['visit']>>
  perSecond: number
  goodWithin: number
  phases: readonly Phase[]
  print: (line: string) => void
  /** Whose progress is shown. */
  shown: readonly string[]
}

/** Plays the phases while all loads come at the same time, each as often. */
export async function playUnderLoad(given: UnderLoad): Promise<Recording[]> {
  const { loads, perSecond, goodWithin, phases, print, shown } = given
  const visits = Object.fromEntries(Object.keys(loads).map((name) => [name, [] as Visit[]]))
  const progress = progressLines(Object.fromEntries(shown.map((name) => [name, visits[name]!])), perSecond)
  const visitors = Object.entries(loads).map(([name, visit]) =>
    startVisitors({ perSecond, goodWithin, visit, onVisit: (one) => visits[name]!.push(one) }),
  )
  const stop = (): Promise<unknown> => Promise.all(visitors.map((each) => each.stop()))
  try {
    const played = await playPhases(phases, print, () => print(progress()))
    await stop()
    return Object.entries(visits).map(([variant, all]) => ({ variant, phases: played, visits: all }))
  } finally {
    await stop()
  }
}
