/** The table of results. */

/** One line of the table. */
export interface Row {
  way: string
  connections: number
  bytes: number
  gigabitsPerSecond: number
  /** Microseconds. */
  p50: number
  /** Microseconds. */
  p99: number
}

const HEADINGS = ['way', 'connections', 'bytes', 'Gbit/s', 'round trip p50', 'p99']

/** A table whose first column is aligned to the left, the others to the right. */
export function formatTable(rows: Row[]): string {
  const cells = rows.map((row) => [
    row.way,
    String(row.connections),
    String(row.bytes),
    row.gigabitsPerSecond.toFixed(2),
    `${row.p50.toFixed(0)} µs`,
    `${row.p99.toFixed(0)} µs`,
  ])
  const lines = [HEADINGS, ...cells]
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => {
          const width = widths[column] ?? 0
          return column === 0 ? cell.padEnd(width) : cell.padStart(width)
        })
        .join('  '),
    )
    .join('\n')
}
