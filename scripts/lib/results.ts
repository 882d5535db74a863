/** How one executed or skipped test ended. */
export interface TestResult {
  /** Full name: module path in Rust, titles from the outside in for vitest. */
  readonly name: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** The file of a spec. */
  readonly file?: string
  /** What a failed test said. */
  readonly message?: string
}

/** How many tests ended each way. */
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

/** The closing line of every test command; skipped tests are named only where there are some. */
export function closingLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/** Whether a run may count as green: nothing failed and something was really executed. */
export function isGreen({ passed, failed }: Totals): boolean {
  return failed === 0 && passed > 0
}
