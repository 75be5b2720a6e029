import { setTimeout as sleep } from 'node:timers/promises'
import type { Visit } from './visitors.js'

/** A part of a replay: something happens at its beginning. */
export interface Phase {
  name: string
  what: string
  seconds: number
  begin?: () => void | Promise<void>
}

/** A phase as it was played, on the clock of `performance.now()`. */
export interface PlayedPhase {
  name: string
  what: string
  from: number
  to: number
}

/** All visits of one variant, and the phases in which they were due. */
export interface Recording {
  variant: string
  phases: readonly PlayedPhase[]
  visits: readonly Visit[]
}

/** Plays phases one after the other; `eachSecond` is for progress. A phase that takes longer to begin is no shorter. */
export async function playPhases(
  phases: readonly Phase[],
  print: (line: string) => void,
  eachSecond: () => void,
): Promise<PlayedPhase[]> {
  const played: PlayedPhase[] = []
  for (const { name, what, seconds, begin } of phases) {
    print(`\n${name}: ${what}`)
    const from = performance.now()
    await begin?.()
    const begun = performance.now()
    for (let second = 1; second <= seconds; second++) {
      await sleep(Math.max(0, begun + second * 1_000 - performance.now()))
      eachSecond()
    }
    played.push({ name, what, from, to: performance.now() })
  }
  return played
}
