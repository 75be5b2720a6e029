import { goodWithin } from '../visitors/good-page.js'
import { patience } from '../visitors/visitors.js'
import type { Figures } from './figures.js'

const headings = ['phase', 'portal', 'visits', 'answers', '5xx', 'good', 'good %', 'p50 ms', 'p99 ms']
const leftAligned = 2

export function table(all: readonly Figures[]): string {
  const rows = all.map(({ phase, variant, visits, answers, serverErrors, good, goodRate, p50, p99 }) => [
    phase,
    variant,
    String(visits),
    String(answers),
    String(serverErrors),
    String(good),
    (goodRate * 100).toFixed(1),
    p50.toFixed(0),
    p99.toFixed(0),
  ])
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: string[]): string =>
    cells
      .map((cell, column) =>
        column < leftAligned ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')

  return [
    line(headings),
    line(widths.map((width) => '─'.repeat(width))),
    ...rows.map(line),
    '',
    `A good page comes within ${goodWithin} ms and has its article. Times are of all visits, from when each was due;`,
    `a visitor gives up after ${patience} ms.`,
  ].join('\n')
}
