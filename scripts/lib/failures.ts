import { relative } from 'node:path'

import type { TestResult } from './results.js'
import { root } from './run.js'

/** The line that begins the list of failures. `.ci/run` repeats what stands between it and the closing line. */
export const failuresHeading = '--- failed'

/** How many failures are shown with their message; of the others there is only the name. */
const SHOWN_IN_FULL = 12
const LINES_EACH = 8
const LINE_LENGTH = 240

/** The part of a message worth repeating: its first lines, without empty ones and stack frames. */
function excerpt(message: string): string[] {
  const lines = message
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '' && !/^\s+at .*(?::\d+:\d+|\))/.test(line))
  return lines.slice(0, LINES_EACH).map((line) => line.slice(0, LINE_LENGTH))
}

/**
 * What failed, for the end of a log that may be cut off at its beginning: a heading, each failed test by name
 * and the first lines of why. Empty where nothing failed.
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
