import type { Case, Subject, SubjectName } from '../harness/case.js'
import type { Series } from '../harness/conduct.js'
import { median, pairedRatio } from '../harness/statistics.js'
import type { Spot, Target } from '../targets.js'

/** A target, held against what was measured. */
export interface Verdict {
  readonly what: string
  readonly by?: string
  readonly atMost: number
  /** The median of `runs`. */
  readonly measured: number
  /** A figure for each launch: the median of its rounds. */
  readonly runs: readonly number[]
  readonly result: 'kept' | 'within a tenth' | 'missed'
}

/** A shared machine moves a ratio by a few percent from one run to the next. */
const tolerance = 1.1

export function verdictOf(target: Target, series: readonly Series[], launches: number): Verdict {
  const { what, by, spot, atMost } = target
  const figures = perLaunch(figuresAt(spot, series), launches)
  const others = by && perLaunch(figuresAt(by, series), launches)
  const runs = figures.map((own, launch) => (others ? pairedRatio(own, others[launch] ?? []) : median(own)))
  const measured = median(runs)
  return { what, ...(by && { by: by.name }), atMost, measured, runs, result: resultOf(measured, atMost) }
}

/** What could not be measured is missed. */
export function resultOf(measured: number, atMost: number): Verdict['result'] {
  if (measured <= atMost) return 'kept'
  return measured <= atMost * tolerance ? 'within a tenth' : 'missed'
}

/** A case with nothing in it but what its targets need. */
export function onlyFor(of: Case, targets: readonly Target[]): Case {
  const spots = targets.flatMap(({ spot, by }) => (by ? [spot, by] : [spot]))
  return { ...of, subjects: of.subjects.flatMap((subject) => neededOf(subject, of, spots)) }
}

function neededOf({ name }: Subject, of: Case, spots: readonly Spot[]): Subject[] {
  const points = of.points.filter((point) => spots.some((spot) => spot.subject === name && spot.point === point))
  return points.length > 0 ? [{ name, points }] : []
}

function figuresAt({ subject, point }: { subject: SubjectName; point: number }, series: readonly Series[]): number[] {
  return series.find((one) => one.subject === subject && one.point === point)?.figures ?? []
}

function perLaunch(figures: readonly number[], launches: number): number[][] {
  const rounds = Math.max(1, figures.length / launches)
  return Array.from({ length: launches }, (_, launch) => figures.slice(launch * rounds, (launch + 1) * rounds))
}
