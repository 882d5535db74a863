// Runs vitest and reads its report.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

import { removeFolder, temporaryFolder } from './exit.js'
import { lastLines, run, type Outcome } from './run.js'
import type { Report, TestResult, Totals } from './results.js'

/** The parts of vitest's JSON report that this module reads. */
interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    /** The error of a file that failed before its first test. */
    readonly message?: string
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages?: readonly string[] | null
    }[]
  }[]
}

function outcomeOf(status: string): TestResult['outcome'] {
  if (status === 'passed' || status === 'failed') return status
  return 'skipped'
}

/** Reads vitest's JSON report. A file that failed before its first test counts as one failure. */
export function parseVitest(report: VitestReport): Report {
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((result) => result.status === 'failed'),
  )
  const totals: Totals = {
    passed: report.numPassedTests,
    failed: report.numFailedTests + brokenFiles.length,
    skipped: report.numPendingTests + report.numTodoTests,
  }
  const results = report.testResults.flatMap(({ name: file, assertionResults }) =>
    assertionResults.map(({ fullName, status, failureMessages }): TestResult => {
      const outcome = outcomeOf(status)
      if (outcome !== 'failed') return { name: fullName, outcome }
      return { name: fullName, outcome, file, message: (failureMessages ?? []).join('\n') }
    }),
  )
  const broken = brokenFiles.map(({ name, message = '' }): TestResult => {
    return { name, outcome: 'failed', message }
  })
  return { totals, results: [...results, ...broken] }
}

/** The failure of a run without a failed test: an unhandled error, or a process that died. */
function failureOfTheRun(code: number, output: string): TestResult {
  const plain = stripVTControlCharacters(output)
  const from = plain.search(/Unhandled (?:Errors?|Rejections?)/)
  const message = from < 0 ? lastLines(plain) : plain.slice(from)
  return { name: `vitest ended with ${code}`, outcome: 'failed', message }
}

/**
 * Starts Node in the root folder of the repository.
 *
 * @param args the arguments of Node
 * @param folder the folder that the report is written into
 */
export type StartNode = (args: readonly string[], folder: string) => Promise<Outcome>

/** Starts a Node binary on this system. */
export function nodeAt(program: string): StartNode {
  return (args) => run(program, args)
}

/**
 * Runs vitest once. A run that dies without a report counts as one failure.
 *
 * @param args further arguments of `vitest run`
 * @param start starts the Node that runs vitest and the specs
 */
export async function vitest(
  args: readonly string[] = [],
  start: StartNode = nodeAt(process.execPath),
): Promise<Report> {
  const folder = temporaryFolder('vitest')
  const file = join(folder, 'report.json')
  try {
    const outputs = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
    const { code, output } = await start(
      ['node_modules/vitest/vitest.mjs', 'run', ...outputs, ...args],
      folder,
    )
    const text = await readFile(file, 'utf8').catch(() => undefined)
    if (text === undefined) {
      return { totals: { passed: 0, failed: 1, skipped: 0 }, results: [failureOfTheRun(code, output)] }
    }
    const report = parseVitest(JSON.parse(text) as VitestReport)
    // An unhandled error fails the run without failing a test.
    if (code === 0 || report.totals.failed > 0) return report
    return {
      totals: { ...report.totals, failed: 1 },
      results: [...report.results, failureOfTheRun(code, output)],
    }
  } finally {
    removeFolder(folder)
  }
}
