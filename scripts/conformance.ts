// Prints each row of docs/conformance.json with the outcome of the tests that carry its id:
// `c_001` in the name of a Rust test, `C-001` in the title of a vitest spec.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { cargoTest } from './lib/cargo-test.js'
import { judge, parseRows, unknownRows } from './lib/conformance.js'
import { failureLines } from './lib/failures.js'
import { closingLine, isGreen, type TestResult } from './lib/results.js'
import { main, root } from './lib/run.js'
import { vitest } from './lib/vitest.js'

await main(async () => {
  const rows = parseRows(await readFile(join(root, 'docs/conformance.json'), 'utf8'))
  const rust = await cargoTest(['c_'])
  const specs = await vitest(['--project=!types', '--testNamePattern', 'C-[0-9]{3}'])
  const results = [...rust.results, ...specs.results]

  console.log('')
  const totals = { passed: 0, failed: 0, skipped: 0 }
  const failed: TestResult[] = []
  for (const row of rows) {
    const verdict = judge(row, results)
    totals[verdict.counts] += 1
    const detail = verdict.detail === undefined ? '' : ` (${verdict.detail})`
    console.log(`${row.id}  ${row.test.padEnd(36)} ${verdict.word}${detail}`)
    if (verdict.word === 'fail')
      failed.push({ name: `${row.id} ${row.test}`, outcome: 'failed', message: detail })
  }
  for (const id of unknownRows(rows, results)) {
    totals.failed += 1
    console.log(`${id}  carried by a test, but docs/conformance.json has no such row`)
  }
  // A crash without a failed test must not hide behind rows that passed before it.
  const crashed = (rust.totals.failed > 0 || specs.totals.failed > 0) && totals.failed === 0
  if (crashed) console.log('A test outside the rows failed, or a runner died; see its output above.')
  console.log([...failureLines([...failed, ...results]), closingLine(totals)].join('\n'))
  return isGreen(totals) && !crashed
})
