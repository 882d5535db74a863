/** The known name that a mistyped name probably means. */

/** The number of characters to insert, delete or replace to turn `a` into `b` (Levenshtein's distance). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}

/** The known name nearest to `name`; `undefined` if no name is near or contains it. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((one) => ({ one, far: distance(name, one) }))
    .filter(({ one, far }) => far <= Math.max(1, name.length / 3) || (name.length > 2 && one.includes(name)))
    .toSorted((a, b) => a.far - b.far)
  return best?.one
}
