// Runs the engine's tests on the backend `kqueue` on Linux, over libkqueue (`kqueue/library.ts`). A test that fails
// because of a listed fault of libkqueue counts as skipped; the list names the tests of each fault, and a C program shows
// it without the engine. Any other test fails the run if it fails three times in a row. The run also fails if a program
// no longer shows its fault or a listed test passes. Arguments select tests by parts of their names.
import { availableParallelism } from 'node:os'

import { FAULTS } from './kqueue/faults.js'
import { installLibrary, VERSION, type Library } from './kqueue/library.js'
import { runReproductions } from './kqueue/reproductions.js'
import { buildTests, runTest, type Outcome, type Test } from './kqueue/tests.js'
import { conclude } from './lib/failures.js'
import { reportOf, type TestResult } from './lib/results.js'
import { main } from './lib/run.js'

/** The longest time for a test. A listed one may wait for what libkqueue never reports. */
const SECONDS = 60
const LISTED_SECONDS = 8

/** How often a test that is listed as failing in every run has to pass before the list is wrong. */
const ATTEMPTS = 5

/** How often a test that is not listed has to fail: libkqueue has races that any test with threads may lose. */
const FAILURES = 3

/** The fault that makes a test fail. */
interface Entry {
  readonly fault: string
  /** Whether the test fails in every run. */
  readonly always: boolean
}

const listed = new Map<string, Entry>(
  FAULTS.flatMap(({ name, tests, sometimes = [] }) => [
    ...tests.map((test) => [test, { fault: name, always: true }] as const),
    ...sometimes.map((test) => [test, { fault: name, always: false }] as const),
  ]),
)

/** Runs a listed test, one that fails in every run until it fails. */
async function judgeListed(test: Test, { fault, always }: Entry, library: Library): Promise<TestResult> {
  const { name } = test
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const { word } = await runTest(test, library, LISTED_SECONDS)
    if (word === 'failed') {
      console.log(`skipped ${name}: ${fault}`)
      return { name, outcome: 'skipped' }
    }
    if (!always) return { name, outcome: 'passed' }
  }
  return { name, outcome: 'failed', message: `is listed as failing because of ${fault}, but passes` }
}

/** Runs a test that is not listed, until it passes. */
async function judge(test: Test, library: Library): Promise<Outcome> {
  let outcome = await runTest(test, library, SECONDS)
  for (let failures = 1; outcome.word === 'failed' && failures < FAILURES; failures += 1) {
    console.log(`${test.name} has failed, and runs again:\n${outcome.why}`)
    outcome = await runTest(test, library, SECONDS)
  }
  return outcome
}

function toResult(name: string, { word, why }: Outcome): TestResult[] {
  if (word === 'not applicable') {
    console.log(`not applicable ${name}: ${why}`)
    return []
  }
  return [{ name, outcome: word, ...(why === undefined ? {} : { message: why }) }]
}

/** Runs tests, as many at a time as there are processors. */
async function runTests(tests: readonly Test[], library: Library): Promise<TestResult[]> {
  const results: TestResult[] = []
  const queue = tests.values()
  const work = async (): Promise<void> => {
    for (const test of queue) {
      const entry = listed.get(test.name)
      if (entry === undefined) results.push(...toResult(test.name, await judge(test, library)))
      else results.push(await judgeListed(test, entry, library))
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work))
  return results
}

function binaryOf(name: string): string {
  return name.split('::', 1)[0] ?? name
}

/** Prints the number of tests of each binary by outcome. */
function printCounts(tests: readonly Test[], results: readonly TestResult[]): void {
  for (const binary of [...new Set(tests.map(({ name }) => binaryOf(name)))].sort()) {
    const all = tests.filter(({ name }) => binaryOf(name) === binary).length
    const { totals } = reportOf(results.filter(({ name }) => binaryOf(name) === binary))
    const left = all - totals.passed - totals.failed - totals.skipped
    console.log(
      `${binary}: ${totals.passed} passed, ${totals.skipped} fail because of libkqueue, ` +
        `${totals.failed} fail otherwise, ${left} not applicable`,
    )
  }
}

await main(async () => {
  const parts = process.argv.slice(2)
  const isSelected = (name: string): boolean =>
    parts.length === 0 || parts.some((part) => name.includes(part))
  const library = await installLibrary()
  console.log(`--- building the tests with libkqueue ${VERSION}`)
  const tests = await buildTests(library)
  console.log(`--- ${FAULTS.length} faults of libkqueue`)
  const shown = await runReproductions(FAULTS, library)
  for (const { name, what, tests: affected, sometimes = [] } of FAULTS)
    console.log(`${name}: ${what} Tests: ${affected.length + sometimes.length}.`)
  const chosen = tests.filter(({ name }) => isSelected(name))
  console.log(`--- ${chosen.length} tests of the engine`)
  const results = await runTests(chosen, library)
  const names = new Set(tests.map(({ name }) => name))
  const unknown = [...listed.keys()].filter((name) => !names.has(name))
  const missing = unknown.map((name) => ({ name: `faults.ts: no test ${name}`, outcome: 'failed' as const }))
  printCounts(chosen, results)
  return conclude([reportOf([...shown, ...results, ...missing])])
})
