// Prints each row of docs/conformance.json with the outcome of the tests that carry its id: `c_001` in the name
// of a Rust test, run once on each backend in each mode, and `C-001` in the title of a spec.
// `--markdown` writes the summary into docs/backends.md; further arguments select backends and modes by name.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { EventBase, EventConfig, Feature } from '../index.js'
import { addonProblem } from './lib/addon.js'
import { conformanceTable, withTable, type JudgedRow } from './lib/backends-table.js'
import { judge, parseRows, unknownRows, type Cell, type CombinationReport } from './lib/conformance.js'
import { failureLines } from './lib/failures.js'
import { combinations, type Backend, type Combination } from './lib/matrix.js'
import { closingLine, isGreen, type TestResult } from './lib/results.js'
import { main, root } from './lib/run.js'
import { buildArtifacts, nameOfBinary, runIn, testBinaries, withTests } from './lib/test-binaries.js'
import { vitest } from './lib/vitest.js'

const FILTER = 'c_'
const RULED: ReadonlySet<string> = new Set(['plain', 'shared', 'debug', 'changelist'])
const document = join(root, 'docs/backends.md')

/** The backends of this build. A variant of another one (`epoll (with changelist)`) counts as a mode. */
function backends(): Backend[] {
  const methods = EventBase.supportedMethods()
  return methods
    .filter((name) => !name.includes(' '))
    .map((name) => {
      const config = new EventConfig()
      for (const other of methods) if (other !== name) config.avoidMethod(other)
      using base = config.build()
      const features = Object.entries(Feature).filter(([, bit]) => (base.features & bit) !== 0)
      return { name, features: features.map(([feature]) => feature) }
    })
}

function backendsOf(chosen: readonly Combination[]): string[] {
  return [...new Set(chosen.map(({ backend }) => backend.name))]
}

/** The specs that have rows. Loading the others takes longer than running these. */
async function specsWithRows(): Promise<string[]> {
  const files = await readdir(join(root, '__test__'), { recursive: true })
  const specs = files.filter((file) => file.endsWith('.spec.ts') && !file.startsWith('scripts'))
  const texts = await Promise.all(specs.map((file) => readFile(join(root, '__test__', file), 'utf8')))
  return specs.filter((_, index) => /C-\d{3}/.test(texts[index] ?? '')).map((file) => join('__test__', file))
}

const signs = { pass: '+', fail: 'x', 'n/a': '-', none: '.' } as const

/** A row's cells, together for each backend: `epoll ++++  poll ++-+`. */
function picture(chosen: readonly Combination[], cells: readonly Cell[], specs: Cell): string {
  const words = cells.map(({ word }) => signs[word])
  const groups = backendsOf(chosen).map((name) => {
    return `${name} ${words.filter((_, index) => chosen[index]?.backend.name === name).join('')}`
  })
  return [...groups, `specs ${signs[specs.word]}`].join('  ')
}

await main(async () => {
  const [option, ...words] = process.argv.slice(2)
  const isMarkdown = option === '--markdown'
  const picked = [...(isMarkdown || option === undefined ? [] : [option]), ...words]
  const problem = await addonProblem()
  if (problem !== undefined) throw new Error(`${problem}; run: npm run build`)

  const rows = parseRows(await readFile(join(root, 'docs/conformance.json'), 'utf8'))
  const chosen = combinations(backends()).filter(
    ({ backend, mode }) => picked.length === 0 || picked.includes(backend.name) || picked.includes(mode.name),
  )
  if (chosen.length === 0) throw new Error(`no backend or mode has the name ${picked.join(' or ')}`)
  const built = testBinaries(await buildArtifacts())
  const binaries = await withTests(built, FILTER)
  const reports: CombinationReport[] = []
  for (const combination of chosen) {
    console.log(`--- ${combination.backend.name}, ${combination.mode.name}: ${combination.mode.what}`)
    reports.push(await runIn(combination, binaries, FILTER))
  }
  // The rules of the engine, on each backend in the modes that run different code.
  const rules = built.filter((binary) => nameOfBinary(binary) === 'rules')
  const ruled: CombinationReport[] = []
  for (const combination of chosen.filter(({ mode }) => RULED.has(mode.name))) {
    console.log(`--- ${combination.backend.name}, ${combination.mode.name}: the rules of the engine`)
    ruled.push(await runIn(combination, rules, ''))
  }
  const specs = await vitest([
    '--project=!types',
    '--testNamePattern',
    'C-[0-9]{3}',
    ...(await specsWithRows()),
  ])

  const totals = { passed: 0, failed: 0, skipped: 0 }
  const judged: JudgedRow[] = rows.map(({ id, test, ...row }) => {
    return { id, test, verdict: judge({ id, test, ...row }, reports, specs.results) }
  })
  const failures: TestResult[] = []
  console.log('\n+ passed, - not applicable, x failed, . no test; in each group the modes in this order:')
  for (const name of backendsOf(chosen)) {
    const order = chosen.filter(({ backend }) => backend.name === name).map(({ mode }) => mode.name)
    console.log(`  ${name}: ${order.join(', ')}`)
  }
  for (const { id, test, verdict } of judged) {
    const { word, counts, detail, cells, specs: spec } = verdict
    totals[counts] += 1
    const excuses = cells.flatMap((cell) => (cell.word === 'n/a' ? [cell.detail ?? ''] : []))
    const reasons = detail === undefined ? [...new Set(excuses)] : [detail]
    const why = reasons.length === 0 ? '' : `  (${reasons.join('; ')})`
    console.log(`${id}  ${test.padEnd(36)} ${word.padEnd(5)} ${picture(chosen, cells, spec)}${why}`)
    if (word === 'fail') failures.push({ name: `${id} ${test}`, outcome: 'failed', message: detail ?? '' })
  }
  for (const { combination, results, notApplicable } of ruled) {
    const failed = results.filter(({ outcome }) => outcome === 'failed').length
    const passed = results.filter(({ outcome }) => outcome === 'passed').length - notApplicable.size
    const counts = `${passed} hold, ${failed} do not, ${notApplicable.size} are not applicable`
    console.log(`rules on ${combination.backend.name}, ${combination.mode.name}: ${counts}`)
    for (const [name, why] of notApplicable) console.log(`  - ${name}: ${why}`)
  }
  const inCombinations = [...reports, ...ruled].flatMap(({ combination, results }) => {
    const where = `${combination.backend.name}, ${combination.mode.name}: `
    return results.map(({ name, ...result }) => ({ ...result, name: where + name }))
  })
  const everything = [...inCombinations, ...specs.results]
  for (const id of unknownRows(rows, everything)) {
    totals.failed += 1
    failures.push({
      name: `a test has the id ${id}, which docs/conformance.json does not list`,
      outcome: 'failed',
    })
  }
  // A failure outside the rows counts too.
  const outside = everything.some(({ outcome }) => outcome === 'failed') && totals.failed === 0
  if (outside) totals.failed += 1
  if (isMarkdown)
    await writeFile(document, withTable(await readFile(document, 'utf8'), conformanceTable(chosen, judged)))
  console.log([...failureLines([...failures, ...everything]), closingLine(totals)].join('\n'))
  return isGreen(totals)
})
