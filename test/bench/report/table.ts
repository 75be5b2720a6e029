/** Columns padded to their widest cell, the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>(
    (widest, row) => row.map((cell, at) => Math.max(cell.length, widest[at] ?? 0)),
    [],
  )
  return rows
    .map((row) => row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))))
    .map((cells) => `  ${cells.join('   ')}`)
    .join('\n')
}

const none = '–'

export function figure(value: number): string {
  if (!Number.isFinite(value)) return none
  return value < 10 && !Number.isInteger(value) ? value.toFixed(2) : Math.round(value).toLocaleString('en')
}

export function ratio(value: number): string {
  if (!Number.isFinite(value)) return none
  if (value === 0) return '0'
  return value < 0.095 ? value.toPrecision(2) : value.toFixed(2)
}

/** What a ratio may be at most: 0.125 is no 0.13. */
export function limit(value: number): string {
  return String(Number(value.toPrecision(3)))
}

export function percent(value: number): string {
  return Number.isFinite(value) ? `±${(value * 100).toFixed(0)} %` : none
}
