// Finds the tests of each row of docs/conformance.json and decides its outcome.
import { needs as knownNeeds, whyNot, type Combination, type Need } from './matrix.js'
import type { TestResult } from './results.js'

/** One row of docs/conformance.json: a test of libevent's own suite. */
export interface Row {
  /** `C-001` to `C-116`. */
  readonly id: string
  /** The test's name in libevent. */
  readonly test: string
  /** `later`: a test may be missing. `n/a`: no test is possible. Both need a reason. */
  readonly scope: 'now' | 'later' | 'n/a'
  /** The conditions for the row: features of a backend, several threads, a signal handler, or a certain backend. */
  readonly needs?: readonly Need[]
  readonly reason?: string
  readonly note?: string
}

/** The results of the tests in one combination of backend and mode. */
export interface CombinationReport {
  readonly combination: Combination
  readonly results: readonly TestResult[]
  /** Tests that reported not to be applicable: name and reason. */
  readonly notApplicable: ReadonlyMap<string, string>
}

/** A row's outcome in one combination, or in the specs. */
export interface Cell {
  readonly word: 'pass' | 'fail' | 'n/a' | 'none'
  readonly detail?: string
}

/** The outcome of a row, and the total under which it counts. */
export interface Verdict {
  readonly word: 'pass' | 'fail' | 'later' | 'n/a'
  readonly counts: 'passed' | 'failed' | 'skipped'
  readonly detail?: string
  /** One for each combination, in their order. */
  readonly cells: readonly Cell[]
  readonly specs: Cell
}

const scopes = new Set(['now', 'later', 'n/a'])

/** Reads the rows. Throws if an id is repeated or malformed, a reason missing or a need unknown. */
export function parseRows(text: string): Row[] {
  const rows = JSON.parse(text) as Row[]
  const seen = new Set<string>()
  for (const { id, scope, reason, needs = [] } of rows) {
    if (!/^C-\d{3}$/.test(id)) throw new Error(`malformed row id ${id}`)
    if (seen.has(id)) throw new Error(`row ${id} is repeated`)
    seen.add(id)
    if (!scopes.has(scope)) throw new Error(`row ${id} has the unknown scope ${scope}`)
    if (scope !== 'now' && !reason) throw new Error(`row ${id} is "${scope}" without a reason`)
    const unknown = needs.find((need) => !knownNeeds.includes(need))
    if (unknown !== undefined) throw new Error(`row ${id} has the unknown need ${unknown}`)
  }
  return rows
}

/** The rows in the name of a test. */
function rowsOf(name: string): string[] {
  return [...name.matchAll(/(?<![a-zA-Z0-9])(?:c_|C-)(\d{3})(?!\d)/g)].map(([, digits]) => `C-${digits}`)
}

/** The executed and skipped tests of a row. */
function testsOf(id: string, results: readonly TestResult[]): TestResult[] {
  return results.filter(({ name }) => rowsOf(name).includes(id))
}

/** A row's outcome among the results of one run: it passes if a test of the row passed and none failed. */
function cellOf(id: string, results: readonly TestResult[]): Cell {
  const tests = testsOf(id, results)
  const failed = tests.filter(({ outcome }) => outcome === 'failed')
  if (failed.length > 0) return { word: 'fail', detail: failed.map(({ name }) => name).join('; ') }
  if (tests.some(({ outcome }) => outcome === 'passed')) return { word: 'pass' }
  return tests.length > 0 ? { word: 'fail', detail: 'every test of the row was skipped' } : { word: 'none' }
}

/** A row's outcome in a combination. What its tests report and its needs have to agree. */
function cellIn({ id, needs = [] }: Row, report: CombinationReport): Cell {
  const { combination, results, notApplicable } = report
  const cell = cellOf(id, results)
  if (cell.word === 'fail') return cell
  const expected = whyNot(needs, combination)
  const reported = testsOf(id, results).flatMap(({ name }) => notApplicable.get(name) ?? [])
  if (expected === undefined) {
    return reported.length === 0
      ? cell
      : { word: 'fail', detail: `a test reports "${reported[0]}", but the row has no such need` }
  }
  return cell.word === 'pass' && reported.length === 0
    ? { word: 'fail', detail: `passed, but ${expected}` }
    : { word: 'n/a', detail: expected }
}

function passes({ word }: Cell): boolean {
  return word === 'pass'
}

/** The outcome of one row: it passes if every combination passes or does not meet the row's needs. */
export function judge(
  row: Row,
  reports: readonly CombinationReport[],
  specResults: readonly TestResult[],
): Verdict {
  const cells = reports.map((report) => cellIn(row, report))
  const specs = cellOf(row.id, specResults)
  const verdict = (word: Verdict['word'], counts: Verdict['counts'], detail?: string): Verdict => {
    return { word, counts, cells, specs, ...(detail === undefined ? {} : { detail }) }
  }
  const broken = [...cells, specs].findIndex(({ word }) => word === 'fail')
  if (broken >= 0) {
    const where = reports[broken]?.combination
    const name = where === undefined ? 'specs' : `${where.backend.name}, ${where.mode.name}`
    return verdict('fail', 'failed', `${name}: ${(cells[broken] ?? specs).detail}`)
  }
  const passed = cells.some(passes) || passes(specs)
  if (row.scope === 'n/a') {
    if (passed) return verdict('fail', 'failed', 'the row is marked n/a, but has a test')
    return verdict('n/a', 'skipped', row.reason)
  }
  if (cells.some(passes) && cells.some(({ word }) => word === 'none')) {
    return verdict('fail', 'failed', 'it has no test in some of the combinations')
  }
  if (passed) {
    return verdict('pass', 'passed', row.scope === 'later' ? 'marked later, can be marked now' : undefined)
  }
  if (row.scope === 'later') return verdict('later', 'skipped', row.reason)
  const excused = cells.find(({ word }) => word === 'n/a')
  if (excused !== undefined) return verdict('n/a', 'skipped', excused.detail)
  return verdict('fail', 'failed', 'no test has this id')
}

/** Ids in the names of tests that no row has, such as misspelt ones. */
export function unknownRows(rows: readonly Row[], results: readonly TestResult[]): string[] {
  const known = new Set(rows.map(({ id }) => id))
  const carried = new Set(results.flatMap(({ name }) => rowsOf(name)))
  return [...carried].filter((id) => !known.has(id)).toSorted()
}
