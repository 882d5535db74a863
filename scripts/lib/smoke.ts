// Reads the output of the smoke suite, `__test__/smoke/smoke.mjs`.
import type { Totals } from './results.js'
import type { Outcome } from './run.js'

/** The totals of a run, whose last line is `N passed, N failed`. Without that line it has failed. */
export function smokeTotals({ code, output }: Outcome): Totals {
  const closing = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1)
  const [passed, failed, skipped] = (closing?.slice(1) ?? []).map((count) => Number(count ?? 0))
  const counted = { passed: passed ?? 0, failed: failed ?? 0, skipped: skipped ?? 0 }
  return code === 0 && closing !== undefined ? counted : { ...counted, failed: Math.max(1, counted.failed) }
}
