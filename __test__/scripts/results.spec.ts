import { describe, expect, it } from 'vitest'

import { parseCargoTest } from '../../scripts/lib/cargo-test.js'
import { closingLine, isGreen, sum } from '../../scripts/lib/results.js'
import { parseVitest } from '../../scripts/lib/vitest.js'

describe('what cargo test printed', () => {
  const output = [
    'running 3 tests',
    'test heap::c_086_randomized ... ok',
    'test heap::needs_root ... ignored, only as root',
    'test heap::panics_on_purpose - should panic ... FAILED',
    'test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s',
    'test crates/event-base/src/lib.rs - Base (line 12) ... ok',
    'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.20s',
  ].join('\n')

  it('adds up over all test binaries', () => {
    expect(parseCargoTest(output).totals).toEqual({ passed: 2, failed: 1, skipped: 1 })
  })

  it('names each test without its remarks', () => {
    expect(parseCargoTest(output).results).toEqual([
      { name: 'heap::c_086_randomized', outcome: 'passed' },
      { name: 'heap::needs_root', outcome: 'skipped' },
      { name: 'heap::panics_on_purpose', outcome: 'failed' },
      { name: 'crates/event-base/src/lib.rs - Base (line 12)', outcome: 'passed' },
    ])
  })
})

describe('a report of vitest', () => {
  const counts = { numPassedTests: 1, numFailedTests: 0, numPendingTests: 1, numTodoTests: 0 }
  const spec = {
    name: 'a.spec.ts',
    status: 'passed',
    assertionResults: [
      { fullName: 'reads', status: 'passed' },
      { fullName: 'waits', status: 'skipped' },
    ],
  }

  it('counts tests that were left out as skipped', () => {
    expect(parseVitest({ ...counts, testResults: [spec] }).totals).toEqual({
      passed: 1,
      failed: 0,
      skipped: 1,
    })
  })

  it('counts a file that broke before its first test as a failure', () => {
    const broken = { name: 'b.spec.ts', status: 'failed', assertionResults: [] }
    const report = parseVitest({ ...counts, testResults: [spec, broken] })
    expect(report.totals.failed).toBe(1)
    expect(report.results).toContainEqual({ name: 'b.spec.ts', outcome: 'failed' })
  })
})

describe('the closing line', () => {
  it('names skipped tests only where there are some', () => {
    const one = { passed: 3, failed: 0, skipped: 0 }
    expect(closingLine(one)).toBe('3 passed, 0 failed')
    expect(closingLine(sum([one, { passed: 1, failed: 2, skipped: 4 }]))).toBe(
      '4 passed, 2 failed, 4 skipped',
    )
  })

  it('is green only when something ran and nothing failed', () => {
    expect(isGreen({ passed: 1, failed: 0, skipped: 9 })).toBe(true)
    expect(isGreen({ passed: 0, failed: 0, skipped: 9 })).toBe(false)
    expect(isGreen({ passed: 9, failed: 1, skipped: 0 })).toBe(false)
  })
})
