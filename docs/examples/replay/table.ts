import type { Figures } from './figures.js'

/** Lines up columns; the first `left` of them to the left. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[], left: number): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column < left ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd()
  return [line(headings), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)].join('\n')
}

export function figuresTable(all: readonly Figures[], variant: string): string {
  const rows = all.map((one) => [
    one.phase,
    one.variant,
    String(one.visits),
    String(one.answers),
    String(one.serverErrors),
    String(one.good),
    (one.goodRate * 100).toFixed(1),
    one.p50.toFixed(0),
    one.p99.toFixed(0),
  ])
  return table(['phase', variant, 'visits', 'answers', '5xx', 'good', 'good %', 'p50 ms', 'p99 ms'], rows, 2)
}
