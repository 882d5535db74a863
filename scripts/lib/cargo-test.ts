// Runs `cargo test` and reads its output.
import { lastLines, run, type RunOptions } from './run.js'
import type { Report, TestResult, Totals } from './results.js'

const testLine = /^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)/gm
const resultLine = /^test result: .*? (\d+) passed; (\d+) failed; (\d+) ignored/gm

/** The output of one failed test. It ends where the output of the next test starts, or the list of names. */
const printedByTest = /^---- (.+?) stdout ----\n([^]*?)(?=\n---- .+? stdout ----\n|\nfailures:\n)/gm
const deadLine = /^\s*process didn't exit successfully: `([^` ]+)[^`]*` \((.+?)\)/gm

const outcomes = { ok: 'passed', FAILED: 'failed', ignored: 'skipped' } as const

/** The output of the failed tests of all binaries, by name, in the order of the binaries. */
function messages(output: string): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const [, name = '', text = ''] of output.matchAll(printedByTest)) {
    found.set(name, [...(found.get(name) ?? []), text])
  }
  return found
}

/** Test binaries that a signal or an exit ended: they have no summary line. */
function deadBinaries(output: string): TestResult[] {
  return [...output.matchAll(deadLine)].map(({ 1: binary = '', 2: how = '', index }) => {
    const name = binary.replace(/^.*\/|-[0-9a-f]{16}.*$/g, '')
    const message = `the process died: ${how}\n${lastLines(output.slice(0, index))}`
    return { name, outcome: 'failed', message }
  })
}

/**
 * Reads the output of `cargo test`. Totals come from its summary lines, names from its test lines.
 *
 * @param output both streams; cargo reports processes that died on the standard error
 * @param stdout the standard output of the harness, whose lines are complete
 */
export function parseCargoTest(output: string, stdout: string = output): Report {
  const results: TestResult[] = []
  const printed = messages(stdout)
  for (const [, name = '', word] of stdout.matchAll(testLine)) {
    const outcome = outcomes[word as keyof typeof outcomes]
    const message = outcome === 'failed' ? printed.get(name)?.shift() : undefined
    results.push({ name, outcome, ...(message === undefined ? {} : { message }) })
  }
  const dead = deadBinaries(output)
  const totals = { passed: 0, failed: 0, skipped: 0 }
  for (const [, passed, failed, ignored] of stdout.matchAll(resultLine)) {
    totals.passed += Number(passed)
    totals.failed += Number(failed)
    totals.skipped += Number(ignored)
  }
  totals.failed += dead.length
  return { totals, results: [...results, ...dead] }
}

/**
 * The names of tests in the arguments of `cargo test`, behind `--`, that no result has. A test that was renamed does not
 * run any more, which `cargo test` does not report.
 */
export function unmatchedNames(args: readonly string[], results: readonly TestResult[]): string[] {
  const separator = args.indexOf('--')
  const names = separator < 0 ? [] : args.slice(separator + 1).filter((arg) => !arg.startsWith('-'))
  return names.filter((name) => !results.some((result) => result.name.includes(name)))
}

/**
 * Runs `cargo test` over the workspace's default members, all test binaries even after a failure.
 * A failed build or a test binary that dies counts as one failure, because it has no summary line.
 *
 * @param args further arguments of `cargo test`, such as a name to filter by
 * @param options options of the process
 */
export async function cargoTest(args: readonly string[] = [], options: RunOptions = {}): Promise<Report> {
  const { code, output, stdout } = await run('cargo', ['test', '--no-fail-fast', ...args], options)
  const report = parseCargoTest(output, stdout)
  if (code === 0 || report.totals.failed > 0) return report
  const errors = output.split('\n').filter((line) => /^(?:error|thread '.*' panicked)/.test(line))
  const message = errors.length > 0 ? errors.join('\n') : lastLines(output)
  const failure: TestResult = { name: `cargo test ended with ${code}`, outcome: 'failed', message }
  const totals: Totals = { ...report.totals, failed: 1 }
  return { totals, results: [...report.results, failure] }
}
