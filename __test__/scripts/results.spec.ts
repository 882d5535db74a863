import { join } from 'node:path'

import { describe, expect, it, test } from 'vitest'

import { parseCargoTest, unmatchedNames } from '../../scripts/lib/cargo-test.js'
import { failureLines } from '../../scripts/lib/failures.js'
import { closingLine, isGreen, sum, type TestResult } from '../../scripts/lib/results.js'
import { root } from '../../scripts/lib/run.js'
import { parseVitest } from '../../scripts/lib/vitest.js'

/** The output of a failed Rust test in the list of failures. */
const printed = (name: string, line: number): string =>
  `---- ${name} stdout ----\n\nthread '${name}' panicked at a.rs:${line}:5:\nleft is not right\n`

/** The output of a test binary with two failed tests. */
const binary = (line: number): string =>
  [
    'test once ... FAILED',
    'test twice ... FAILED',
    '',
    'failures:',
    '',
    printed('once', line),
    printed('twice', line),
    '',
    'failures:',
    '    once',
    '    twice',
    '',
    'test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s',
  ].join('\n')

describe('the output of cargo test', () => {
  const output = [
    'running 3 tests',
    'test heap::c_086_randomized ... ok',
    'test heap::needs_root ... ignored, only as root',
    'test heap::panics_on_purpose - should panic ... FAILED',
    'test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s',
    'test crates/event-base/src/lib.rs - Base (line 12) ... ok',
    'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.20s',
  ].join('\n')

  it('has totals that sum all test binaries', () => {
    expect(parseCargoTest(output).totals).toEqual({ passed: 2, failed: 1, skipped: 1 })
  })

  it('names each test without remarks', () => {
    expect(parseCargoTest(output).results).toEqual([
      { name: 'heap::c_086_randomized', outcome: 'passed' },
      { name: 'heap::needs_root', outcome: 'skipped' },
      { name: 'heap::panics_on_purpose', outcome: 'failed' },
      { name: 'crates/event-base/src/lib.rs - Base (line 12)', outcome: 'passed' },
    ])
  })
})

test('a name in the arguments of cargo test that no test has is found', () => {
  const results: TestResult[] = [
    { name: 'waking::a_sleeping_loop', outcome: 'passed' },
    { name: 'two_threads', outcome: 'passed' },
  ]
  const args = ['--test=rules', '--', 'waking::', 'two_threads', 'three_threads', '--skip=sharing::']
  expect(unmatchedNames(args, results)).toEqual(['three_threads'])
  expect(unmatchedNames(['--package=event-base', 'waking'], results)).toEqual([])
})

describe('a failure of cargo test', () => {
  it('has the output of its own test if several binaries have a test of that name', () => {
    const { results } = parseCargoTest(`${binary(7)}\n${binary(9)}`)
    expect(results.map(({ name, message }) => [name, /a\.rs:\d/.exec(message ?? '')?.[0]])).toEqual([
      ['once', 'a.rs:7'],
      ['twice', 'a.rs:7'],
      ['once', 'a.rs:9'],
      ['twice', 'a.rs:9'],
    ])
    expect(results[0]?.message).not.toContain('twice')
  })

  it('is found if the other stream interrupts its line', () => {
    const whole = 'test rules::one ... ok\ntest rules::two ... ok\n'
    const broken = whole.replace('test rules::two', '[warn] a descriptor test rules::two')
    expect(parseCargoTest(broken).results).toHaveLength(1)
    expect(parseCargoTest(broken, whole).results).toHaveLength(2)
  })

  it('is counted for a binary that died beside failed tests', () => {
    const died = [
      'memory allocation of 8 bytes failed',
      'error: test failed, to rerun pass `-p event-base --test rules`',
      '',
      'Caused by:',
      "  process didn't exit successfully: `/t/debug/deps/rules-0123456789abcdef --x` (signal: 6, SIGABRT)",
    ].join('\n')
    const { totals, results } = parseCargoTest(`${binary(7)}\n${died}`)
    expect(totals.failed).toBe(3)
    expect(results.at(-1)).toMatchObject({ name: 'rules', outcome: 'failed' })
    expect(results.at(-1)?.message).toMatch(/SIGABRT[^]*memory allocation/)
  })
})

describe('the list of failures', () => {
  const failed: TestResult = {
    name: 'a list > sorts',
    outcome: 'failed',
    file: join(root, '__test__/list.spec.ts'),
    message: 'Error: one\n\ntwo\n    at sort (/x/list.ts:3:4)\n    at /x/list.spec.ts:5:6\n',
  }

  it('has file, name and message of a test, without stack frames', () => {
    expect(failureLines([failed, { name: 'fine', outcome: 'passed' }])).toEqual([
      '--- failed',
      'FAIL __test__/list.spec.ts > a list > sorts',
      '     Error: one',
      '     two',
    ])
  })

  it('is empty if all tests passed', () => {
    expect(failureLines([{ name: 'fine', outcome: 'passed' }])).toEqual([])
  })

  it('names every failed test and bounds the length of messages', () => {
    const many = Array.from({ length: 50 }, (_, index) => ({
      ...failed,
      name: `number ${index}`,
      message: 'so long\n'.repeat(100),
    }))
    const lines = failureLines(many)
    expect(lines.filter((line) => line.startsWith('FAIL '))).toHaveLength(50)
    expect(lines.length).toBeLessThan(170)
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

  it('counts pending tests as skipped', () => {
    expect(parseVitest({ ...counts, testResults: [spec] }).totals).toEqual({
      passed: 1,
      failed: 0,
      skipped: 1,
    })
  })

  it('counts a file that failed before its first test as a failure', () => {
    const broken = { name: 'b.spec.ts', status: 'failed', message: 'no such module', assertionResults: [] }
    const report = parseVitest({ ...counts, testResults: [spec, broken] })
    expect(report.totals.failed).toBe(1)
    expect(report.results).toContainEqual({ name: 'b.spec.ts', outcome: 'failed', message: 'no such module' })
  })

  it('keeps the message of a failed test', () => {
    const result = {
      fullName: 'reads',
      status: 'failed',
      failureMessages: ['Error: nothing came\n    at x:1:2'],
    }
    const failing = { name: 'c.spec.ts', status: 'failed', assertionResults: [result] }
    expect(parseVitest({ ...counts, numFailedTests: 1, testResults: [failing] }).results).toEqual([
      { name: 'reads', outcome: 'failed', file: 'c.spec.ts', message: 'Error: nothing came\n    at x:1:2' },
    ])
  })
})

describe('the closing line', () => {
  it('mentions skipped tests only if there are any', () => {
    const one = { passed: 3, failed: 0, skipped: 0 }
    expect(closingLine(one)).toBe('3 passed, 0 failed')
    expect(closingLine(sum([one, { passed: 1, failed: 2, skipped: 4 }]))).toBe(
      '4 passed, 2 failed, 4 skipped',
    )
  })

  it('is green only if a test ran and none failed', () => {
    expect(isGreen({ passed: 1, failed: 0, skipped: 9 })).toBe(true)
    expect(isGreen({ passed: 0, failed: 0, skipped: 9 })).toBe(false)
    expect(isGreen({ passed: 9, failed: 1, skipped: 0 })).toBe(false)
  })
})
