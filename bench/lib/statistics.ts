/** Values of several rounds, boiled down. */
export interface Spread {
  /** How many values there were. */
  readonly rounds: number
  /** The middle value: the figure. */
  readonly median: number
  /** The smallest value. */
  readonly min: number
  /** A quarter of the values are below. */
  readonly lowerQuartile: number
  /** A quarter of the values are above. */
  readonly upperQuartile: number
}

/** The spread of at least one value. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  return {
    rounds: sorted.length,
    median: quantile(sorted, 0.5),
    min: quantile(sorted, 0),
    lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75),
  }
}

/** The value below which a share of the sorted values lies, interpolated between neighbours. */
export function quantile(sorted: readonly number[], share: number): number {
  const position = share * (sorted.length - 1)
  const below = sorted[Math.floor(position)]
  const above = sorted[Math.ceil(position)]
  if (below === undefined || above === undefined) throw new RangeError('there are no values')
  return below + (above - below) * (position - Math.floor(position))
}
