import { variants, type Variant } from '../site.js'
import type { Visit } from '../visitors/visitors.js'
import { visitsPerSecond } from './script.js'

const barLength = 20

/** Gives a line for each second: the good pages that came in since the line before. */
export function progressLines(visits: Readonly<Record<Variant, readonly Visit[]>>): () => string {
  const seen: Record<Variant, number> = { guarded: 0, unguarded: 0 }
  let seconds = 0

  return () => {
    const columns = variants.map((variant) => {
      const good = visits[variant].slice(seen[variant]).filter((visit) => visit.good).length
      seen[variant] = visits[variant].length
      return `${variant} ${String(good).padStart(2)} good ${bar(good / visitsPerSecond)}`
    })
    return `${String(++seconds).padStart(4)} s  ${columns.join('   ')}`
  }
}

function bar(ratio: number): string {
  const full = Math.min(barLength, Math.round(ratio * barLength))
  return '█'.repeat(full) + '·'.repeat(barLength - full)
}
