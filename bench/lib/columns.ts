// Lays out rows in columns, for a terminal or as Markdown.

/** A table. Columns for which `isNumber` holds are aligned to the right. */
export function columns(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  isNumber: (column: number) => boolean,
  markdown: boolean,
): string {
  if (markdown) {
    const rule = head.map((_, column) => (isNumber(column) ? '--:' : '---'))
    return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
  }
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0)))
  return all
    .map((cells) =>
      cells
        .map((cell, column) => {
          const width = widths[column] ?? 0
          return isNumber(column) ? cell.padStart(width) : cell.padEnd(width)
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
