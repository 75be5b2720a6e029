import { figures } from '../replay/figures.js'
import { figuresTable, table } from '../replay/table.js'
import type { Replay } from './incident.js'

/** A replay as text: the phases, before and after, and what was claimed of it. */
export function report({ recordings, measures, claims }: Replay): string {
  const variants = [...new Set(measures.flatMap(({ values }) => Object.keys(values)))]
  const rows = measures.map(({ what, values }) => [what, ...variants.map((variant) => values[variant] ?? '')])
  return [
    figuresTable(figures(recordings), 'variant'),
    table(['', ...variants], rows, 1),
    claims.map(({ says, holds }) => `${holds ? '✓' : '✗ FAILED:'} ${says}`).join('\n'),
  ].join('\n\n')
}
