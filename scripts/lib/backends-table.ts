import type { Verdict } from './conformance.js'
import type { Combination } from './matrix.js'

const BEGIN = '<!-- conformance -->'
const END = '<!-- /conformance -->'

/** A row's name and its verdict. */
export interface JudgedRow {
  readonly id: string
  readonly test: string
  readonly verdict: Verdict
}

/** How the rows ended on each backend and in each mode, and which have no meaning where. */
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
    '| backend | mode | which is | passed | not applicable | failed |',
    '|---|---|---|---|---|---|',
    ...counts,
    '',
    '| row | test | not applicable where |',
    '|---|---|---|',
    ...excused,
  ].join('\n')
}

/** Puts the table between its marks in a text. Throws where the text has no marks. */
export function withTable(text: string, table: string): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`there is no place for the table: ${BEGIN}, ${END}`)
  return `${text.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${text.slice(end)}`
}
