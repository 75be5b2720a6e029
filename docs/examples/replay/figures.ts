import type { Recording } from './recording.js'
import type { Visit } from './visitors.js'

/** What one variant did in one phase. */
export interface Figures {
  phase: string
  variant: string
  visits: number
  answers: number
  good: number
  /** Of all visits; 0 when there were none. */
  goodRate: number
  serverErrors: number
  /** Of all visits, in ms; one that was given up counts with the time until then. */
  p50: number
  p99: number
}

/** By phase first, so that variants stand side by side. */
export function figures(recordings: readonly Recording[]): Figures[] {
  const phases = recordings[0]?.phases ?? []
  return phases.flatMap((_, index) =>
    recordings.map(({ variant, phases: own, visits }) => {
      const { name, from, to } = own[index]!
      return { phase: name, variant, ...summary(visits.filter(({ at }) => at >= from && at < to)) }
    }),
  )
}

/** @throws when there is no such phase of that variant */
export function figuresOf(all: readonly Figures[], variant: string, phase: string): Figures {
  const found = all.find((one) => one.variant === variant && one.phase === phase)
  if (found === undefined) throw new Error(`nothing was recorded of ${variant} in ${phase}`)
  return found
}

function summary(due: readonly Visit[]): Omit<Figures, 'phase' | 'variant'> {
  const count = (test: (visit: Visit) => boolean): number => due.filter(test).length
  const times = due.map(({ took }) => took).sort((a, b) => a - b)
  const good = count((visit) => visit.good)
  return {
    visits: due.length,
    answers: count(({ answered }) => answered),
    good,
    goodRate: due.length > 0 ? good / due.length : 0,
    serverErrors: count(({ status }) => status !== undefined && status >= 500),
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
  }
}

const percentile = (sorted: readonly number[], ratio: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * ratio) - 1)] ?? Number.NaN
