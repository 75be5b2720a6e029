import { variants, type Variant } from '../site.js'
import type { Visit } from '../visitors/visitors.js'
import type { Played } from './play.js'

/** What one portal did in one phase. */
export interface Figures {
  phase: string
  variant: Variant
  visits: number
  answers: number
  good: number
  goodRate: number
  serverErrors: number
  /** Of all visits; one that was given up counts with the time until then. */
  p50: number
  p99: number
}

export const wantedGoodRate = 0.99

export function figures({ phases, visits }: Played): Figures[] {
  return phases.flatMap(({ name, from, to }) =>
    variants.map((variant) => {
      const due = visits[variant].filter(({ at }) => at >= from && at < to)
      return { phase: name, variant, ...summarise(due) }
    }),
  )
}

/** Phases in which the guarded portal gave too few good pages. None at all, for want of visits, is too few. */
export const shortfalls = (all: readonly Figures[]): Figures[] =>
  all.filter(({ variant, goodRate }) => variant === 'guarded' && goodRate < wantedGoodRate)

function summarise(due: readonly Visit[]): Omit<Figures, 'phase' | 'variant'> {
  const count = (test: (visit: Visit) => boolean): number => due.filter(test).length
  const times = due.map(({ took }) => took).sort((a, b) => a - b)
  const good = count((visit) => visit.good)
  return {
    visits: due.length,
    answers: count(({ status }) => status !== undefined),
    good,
    goodRate: due.length > 0 ? good / due.length : 0,
    serverErrors: count(({ status }) => status !== undefined && status >= 500),
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
  }
}

const percentile = (sorted: readonly number[], ratio: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * ratio) - 1)] ?? Number.NaN
