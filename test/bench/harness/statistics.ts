/** The value below which the share `q` (0 to 1) of the figures lies, interpolated between neighbours. */
export function quantile(figures: readonly number[], q: number): number {
  const sorted = figures.toSorted((a, b) => a - b)
  const position = (sorted.length - 1) * q
  const below = sorted[Math.floor(position)]
  const above = sorted[Math.ceil(position)]
  if (below === undefined || above === undefined) return NaN
  return below + (above - below) * (position - Math.floor(position))
}

export function median(figures: readonly number[]): number {
  return quantile(figures, 0.5)
}

/** Half the distance between the quartiles, as a part of the median: what a figure can be trusted to. */
export function spread(figures: readonly number[]): number {
  return (quantile(figures, 0.75) - quantile(figures, 0.25)) / 2 / median(figures)
}

/**
 * The median of the ratios taken round by round. Two figures of one round were measured within a moment of each
 * other, so that a machine that slows down in mid-run changes both and not their ratio.
 */
export function pairedRatio(figures: readonly number[], others: readonly number[]): number {
  return median(figures.flatMap((figure, round) => (others[round] ? [figure / others[round]] : [])))
}
