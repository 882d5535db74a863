/** A summary of the values of several rounds. */
export interface Spread {
  /** The number of values. */
  readonly rounds: number
  /** The median: the figure. */
  readonly median: number
  /** The smallest value. */
  readonly min: number
  /** The first quartile. */
  readonly lowerQuartile: number
  /** The third quartile. */
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
