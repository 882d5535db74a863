import type { TestResult } from './results.js'

/** One row of docs/conformance.json: a test of libevent's own suite and what becomes of it here. */
export interface Row {
  /** `C-001` to `C-116`. */
  readonly id: string
  /** The test's name in libevent. */
  readonly test: string
  /** `later` excuses a missing test, `n/a` means that there can be none. Both need a reason. */
  readonly scope: 'now' | 'later' | 'n/a'
  readonly reason?: string
  readonly note?: string
}

/** What is printed for a row, and under which total it counts. */
export interface Verdict {
  readonly word: 'pass' | 'fail' | 'later' | 'n/a'
  readonly counts: 'passed' | 'failed' | 'skipped'
  readonly detail?: string
}

const scopes = new Set(['now', 'later', 'n/a'])

/** Reads the rows. Throws where an id repeats or is malformed, or a reason is missing. */
export function parseRows(text: string): Row[] {
  const rows = JSON.parse(text) as Row[]
  const seen = new Set<string>()
  for (const { id, scope, reason } of rows) {
    if (!/^C-\d{3}$/.test(id)) throw new Error(`malformed row id ${id}`)
    if (seen.has(id)) throw new Error(`row ${id} stands twice`)
    seen.add(id)
    if (!scopes.has(scope)) throw new Error(`row ${id} has the unknown scope ${scope}`)
    if (scope !== 'now' && !reason) throw new Error(`row ${id} is "${scope}" without a reason`)
  }
  return rows
}

/** The rows that a test's name carries. */
function rowsOf(name: string): string[] {
  return [...name.matchAll(/(?<![a-zA-Z0-9])(?:c_|C-)(\d{3})(?!\d)/g)].map(([, digits]) => `C-${digits}`)
}

/** The executed and skipped tests that carry a row's id. */
function testsOf(id: string, results: readonly TestResult[]): TestResult[] {
  return results.filter(({ name }) => rowsOf(name).includes(id))
}

/** Judges one row: it passes when a test that carries its id passed and none failed. */
export function judge(row: Row, results: readonly TestResult[]): Verdict {
  const tests = testsOf(row.id, results)
  const passed = tests.filter(({ outcome }) => outcome === 'passed').length
  const failed = tests.filter(({ outcome }) => outcome === 'failed')
  if (failed.length > 0) return fail(failed.map(({ name }) => name).join('; '))
  if (row.scope === 'n/a') {
    if (passed > 0) return fail('the row is marked n/a, but has a test')
    return { word: 'n/a', counts: 'skipped', ...detail(row.reason) }
  }
  if (passed > 0) {
    const count = `${passed} ${passed === 1 ? 'test' : 'tests'}`
    const hint = row.scope === 'later' ? '; marked later, can be marked now' : ''
    return { word: 'pass', counts: 'passed', detail: count + hint }
  }
  if (row.scope === 'later') return { word: 'later', counts: 'skipped', ...detail(row.reason) }
  return fail(tests.length > 0 ? 'every test of the row was skipped' : 'no test carries this id')
}

/** Ids that tests carry and no row has: a typing error in a test's name would else go unseen. */
export function unknownRows(rows: readonly Row[], results: readonly TestResult[]): string[] {
  const known = new Set(rows.map(({ id }) => id))
  const carried = new Set(results.flatMap(({ name }) => rowsOf(name)))
  return [...carried].filter((id) => !known.has(id)).toSorted()
}

function fail(why: string): Verdict {
  return { word: 'fail', counts: 'failed', detail: why }
}

function detail(reason: string | undefined): { detail?: string } {
  return reason === undefined ? {} : { detail: reason }
}
