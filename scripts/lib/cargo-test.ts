import { run, type RunOptions } from './run.js'
import type { Report, TestResult, Totals } from './results.js'

const testLine = /^test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)/gm
const resultLine = /^test result: .*? (\d+) passed; (\d+) failed; (\d+) ignored/gm

const outcomes = { ok: 'passed', FAILED: 'failed', ignored: 'skipped' } as const

/** Reads the text that `cargo test` printed. Totals come from its summary lines, names from its test lines. */
export function parseCargoTest(output: string): Report {
  const results: TestResult[] = []
  for (const [, name = '', word] of output.matchAll(testLine)) {
    results.push({ name, outcome: outcomes[word as keyof typeof outcomes] })
  }
  const totals = { passed: 0, failed: 0, skipped: 0 }
  for (const [, passed, failed, ignored] of output.matchAll(resultLine)) {
    totals.passed += Number(passed)
    totals.failed += Number(failed)
    totals.skipped += Number(ignored)
  }
  return { totals, results }
}

/**
 * Runs `cargo test` over the workspace's default members, all test binaries even after a failure.
 * A build that fails or a test binary that dies counts as one failure, since it has no summary line.
 *
 * @param args further arguments of `cargo test`, such as a name to filter by
 * @param options how cargo is run
 */
export async function cargoTest(args: readonly string[] = [], options: RunOptions = {}): Promise<Report> {
  const { code, output } = await run('cargo', ['test', '--no-fail-fast', ...args], options)
  const report = parseCargoTest(output)
  if (code === 0 || report.totals.failed > 0) return report
  const totals: Totals = { ...report.totals, failed: 1 }
  return { ...report, totals }
}
