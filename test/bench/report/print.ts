import type { SubjectName } from '../harness/case.js'
import { find, type Outcome } from './outcome.js'
import { figure, limit, percent, ratio, table } from './table.js'
import type { Verdict } from './verdict.js'

/** One case: a table for each of its points, and how the figures grow from the first point to the last. */
export function caseText(outcome: Outcome): string {
  const tables = outcome.points.map((point) => pointText(outcome, point))
  return [`${outcome.title}  [${outcome.name}]`, ...tables, ...growthText(outcome)].join('\n\n')
}

function pointText(outcome: Outcome, point: number): string {
  const rows = outcome.measured
    .filter((one) => one.point === point)
    .map((one) => [
      one.subject,
      figure(one.median),
      percent(one.spread),
      one.subject === 'cofferdam' ? '' : ratio(one.cofferdamToThis),
    ])
  const head = [headOf(outcome, point), outcome.unit, 'spread', 'cofferdam ÷ this']
  return table([head, ...rows])
}

function headOf({ pointIs }: Outcome, point: number): string {
  return pointIs === undefined ? '' : `${pointIs}: ${figure(point)}`
}

function growthText(outcome: Outcome): string[] {
  const from = outcome.points[0]
  const to = outcome.points.at(-1)
  if (from === undefined || to === undefined || from === to) return []
  const rows = outcome.measured
    .filter((one) => one.point === to)
    .map((last) => [last.subject, ratio(last.median / (find(outcome, last.subject, from)?.median ?? NaN))])
  return [table([[`${figure(to)} ÷ ${figure(from)}`, ''], ...rows])]
}

const against: readonly SubjectName[] = ['floor', 'opossum', 'cockatiel', 'mollitia', 'nested']

/** Where Cofferdam stands: one line for each case and point. */
export function summaryText(outcomes: readonly Outcome[]): string {
  const rows = outcomes.flatMap((outcome) =>
    outcome.points.map((point) => {
      const own = find(outcome, 'cofferdam', point)
      return [
        outcome.pointIs === undefined ? outcome.name : `${outcome.name} (${figure(point)})`,
        figure(own?.median ?? NaN),
        ...against.map((subject) => ratio(find(outcome, subject, point)?.cofferdamToThis ?? NaN)),
      ]
    }),
  )
  return `Cofferdam, and its figure divided by theirs\n\n${table([['', 'cofferdam', ...against], ...rows])}`
}

/** Each target, and how it was met. */
export function verdictText(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ what, by, atMost, measured, runs, result }) => [
    by === undefined ? what : `${what} ÷ ${by}`,
    limit(atMost),
    ratio(measured),
    `${ratio(Math.min(...runs))}–${ratio(Math.max(...runs))}`,
    result,
  ])
  return table([['', 'at most', 'measured', `in ${verdicts[0]?.runs.length ?? 0} runs`, ''], ...rows])
}
