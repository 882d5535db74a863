// The table of backends and modes in docs/backends.md.
import type { Verdict } from './conformance.js'
import type { Combination } from './matrix.js'

const BEGIN = '<!-- conformance matrix -->'
const END = '<!-- end of the conformance matrix -->'

/** A row and its outcome. */
export interface JudgedRow {
  readonly id: string
  readonly test: string
  readonly verdict: Verdict
}

/** The outcomes of the rows on each backend in each mode, and the combinations in which rows are not applicable. */
export function conformanceTable(combinations: readonly Combination[], judged: readonly JudgedRow[]): string {
  const counts = combinations.map(({ backend, mode }, index) => {
    const count = (word: string): number =>
      judged.filter(({ verdict }) => verdict.cells[index]?.word === word).length
    const failed = count('fail')
    return `| ${backend.name} | ${mode.name} | ${mode.what} | ${count('pass')} | ${count('n/a')} | ${failed} |`
  })
  const excused = judged.flatMap(({ id, test, verdict }) => {
    const reasons = new Set(
      verdict.cells.flatMap(({ word, detail = '' }) => (word === 'n/a' ? [detail] : [])),
    )
    return reasons.size === 0 ? [] : [`| ${id} | ${test} | ${[...reasons].join('; ')} |`]
  })
  return [
    '| backend | mode | meaning | passed | not applicable | failed |',
    '|---|---|---|---|---|---|',
    ...counts,
    '',
    '| row | test | not applicable where |',
    '|---|---|---|',
    ...excused,
  ].join('\n')
}

/** Replaces the table between the two markers of a text. Throws if the text has no markers. */
export function withTable(text: string, table: string): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`the text has no markers for the table: ${BEGIN}, ${END}`)
  return `${text.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${text.slice(end)}`
}
