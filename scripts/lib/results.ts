// Results and totals of tests.
/** The outcome of one executed or skipped test. */
export interface TestResult {
  /** Full name: module path in Rust, titles from the outside in for vitest. */
  readonly name: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** The file of a spec. */
  readonly file?: string
  /** The message of a failed test. */
  readonly message?: string
}

/** The number of tests by outcome. */
export interface Totals {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** What a test runner reported. */
export interface Report {
  readonly totals: Totals
  readonly results: readonly TestResult[]
}

/** The report of tests, with their number by outcome. */
export function reportOf(results: readonly TestResult[]): Report {
  const totals = { passed: 0, failed: 0, skipped: 0 }
  for (const { outcome } of results) totals[outcome] += 1
  return { totals, results }
}

/** Adds up totals. */
export function sum(all: readonly Totals[]): Totals {
  const total = { passed: 0, failed: 0, skipped: 0 }
  for (const { passed, failed, skipped } of all) {
    total.passed += passed
    total.failed += failed
    total.skipped += skipped
  }
  return total
}

/** The closing line of every test command. It mentions skipped tests only if there are any. */
export function closingLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/** Whether a run has succeeded: no test failed and at least one was executed. */
export function isGreen({ passed, failed }: Totals): boolean {
  return failed === 0 && passed > 0
}
