import type { Visit } from './visitors.js'

const barLength = 20

/** Gives a line for each second: the good answers that came in since the line before. */
export function progressLines(visits: Readonly<Record<string, readonly Visit[]>>, perSecond: number): () => string {
  const seen = new Map<string, number>()
  let seconds = 0
  return () => {
    const columns = Object.entries(visits).map(([variant, all]) => {
      const good = all.slice(seen.get(variant) ?? 0).filter((visit) => visit.good).length
      seen.set(variant, all.length)
      return `${variant} ${String(good).padStart(2)} good ${bar(good / perSecond)}`
    })
    return `${String(++seconds).padStart(4)} s  ${columns.join('   ')}`
  }
}

function bar(ratio: number): string {
  const full = Math.min(barLength, Math.round(ratio * barLength))
  return '█'.repeat(full) + '·'.repeat(barLength - full)
}
