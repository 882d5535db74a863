/** Numbers as text. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** Formats bytes, from 1000 on with three digits: `1.23 MiB`. */
export function formatBytes(bytes: number): string {
  let [value, step] = [bytes, 0]
  while (value >= 1000 && step < UNITS.length - 1) {
    value /= 1024
    step += 1
  }
  return `${step === 0 ? value.toFixed(0) : value.toPrecision(3)} ${UNITS[step]}`
}

/** Formats bytes per second, without the unit of time. */
export function formatRate(bytes: number, seconds: number): string {
  return formatBytes(seconds > 0 ? Math.max(bytes, 0) / seconds : 0)
}

/** Formats a duration in µs, ms or s: `1.2 ms`, `3.4 s`; 0 becomes a dash. */
export function formatMs(ms: number): string {
  if (ms === 0) return '-'
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`
  return ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(1)} s`
}

function two(value = 0): string {
  return String(value).padStart(2, '0')
}

/** Formats seconds as hours, minutes and seconds: `1:02:03`. */
export function formatUptime(seconds: number): string {
  const [hours, minutes, rest] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor)
  return `${hours}:${two(minutes)}:${two(rest)}`
}

/** A text of at most `most` characters: a longer one loses its middle, because the end of an address is its port. */
export function shorten(text: string, most: number): string {
  if (text.length <= most) return text
  if (most < 3) return text.slice(0, most)
  const end = Math.floor((most - 1) / 2)
  return `${text.slice(0, most - 1 - end)}…${text.slice(text.length - end)}`
}

/** Columns of equal width: the first is aligned to the left, the others to the right. */
export function formatColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  '),
  )
}
