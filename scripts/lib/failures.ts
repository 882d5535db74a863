// The end of a test command: the failures and the closing line.
import { relative } from 'node:path'

import { closingLine, isGreen, sum, type Report, type TestResult } from './results.js'
import { root } from './run.js'

/** The first line of the list of failures. `.ci/run` repeats the lines between it and the closing line. */
export const failuresHeading = '--- failed'

/** How many failures are printed with their message; the others only with their name. */
const SHOWN_IN_FULL = 12
const LINES_EACH = 8
const LINE_LENGTH = 240

/** The first lines of a message, without empty ones and stack frames. */
function excerpt(message: string): string[] {
  const lines = message
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '' && !/^\s+at .*(?::\d+:\d+|\))/.test(line))
  return lines.slice(0, LINES_EACH).map((line) => line.slice(0, LINE_LENGTH))
}

/**
 * The failures, for the end of a log: a heading, the name of each failed test and the first lines of its message. Empty if
 * no test failed.
 */
export function failureLines(results: readonly TestResult[]): string[] {
  const failed = results.filter(({ outcome }) => outcome === 'failed')
  if (failed.length === 0) return []
  return [
    failuresHeading,
    ...failed.flatMap(({ name, file, message = '' }, index) => {
      const where = file === undefined ? '' : `${relative(root, file)} > `
      const why = index < SHOWN_IN_FULL ? excerpt(message) : []
      return [`FAIL ${where}${name}`, ...why.map((line) => `     ${line}`)]
    }),
  ]
}

/** Prints the failures and the closing line of a command. Returns whether it has succeeded. */
export function conclude(reports: readonly Report[]): boolean {
  const totals = sum(reports.map((report) => report.totals))
  const lines = failureLines(reports.flatMap(({ results }) => results))
  console.log(['', ...lines, closingLine(totals)].join('\n'))
  return isGreen(totals)
}
