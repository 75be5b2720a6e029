import type { Case, SubjectName } from '../harness/case.js'
import type { Series } from '../harness/conduct.js'
import { median, pairedRatio, spread } from '../harness/statistics.js'

/** What one subject came to at one point. */
export interface Measured {
  readonly subject: SubjectName
  readonly point: number
  readonly median: number
  /** See `spread` in `harness/statistics.ts`. */
  readonly spread: number
  /** Cofferdam's figure divided by this one, round by round: below 1, Cofferdam is ahead. */
  readonly cofferdamToThis: number
  readonly figures: readonly number[]
}

/** One case, measured. */
export interface Outcome {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly pointIs?: string
  readonly points: readonly number[]
  readonly measured: readonly Measured[]
}

export function outcomeOf({ name, title, unit, pointIs, points }: Case, series: readonly Series[]): Outcome {
  return {
    name,
    title,
    unit,
    ...(pointIs !== undefined && { pointIs }),
    points,
    measured: series.map(({ subject, point, figures }) => ({
      subject,
      point,
      median: median(figures),
      spread: spread(figures),
      cofferdamToThis: pairedRatio(figuresOf(series, 'cofferdam', point), figures),
      figures,
    })),
  }
}

export function find({ measured }: Outcome, subject: SubjectName, point: number): Measured | undefined {
  return measured.find((one) => one.subject === subject && one.point === point)
}

function figuresOf(series: readonly Series[], subject: SubjectName, point: number): readonly number[] {
  return series.find((one) => one.subject === subject && one.point === point)?.figures ?? []
}
