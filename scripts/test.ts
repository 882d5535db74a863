// Every test of the project: Rust, then vitest, added up in one closing line.
// `--rust` or `--ts` runs one half; further arguments go to that half's runner.
import { cargoTest } from './lib/cargo-test.js'
import { failureLines } from './lib/failures.js'
import { closingLine, isGreen, sum, type Report } from './lib/results.js'
import { main } from './lib/run.js'
import { vitest } from './lib/vitest.js'

await main(async () => {
  const [half, ...args] = process.argv.slice(2)
  if (half !== undefined && half !== '--rust' && half !== '--ts') {
    throw new Error(`unknown argument ${half}; give --rust or --ts first`)
  }
  const halves: Report[] = []
  if (half !== '--ts') halves.push(await cargoTest(args))
  if (half !== '--rust') halves.push(await vitest(args))
  const total = sum(halves.map(({ totals }) => totals))
  const empty = halves.some(({ totals }) => totals.passed + totals.failed === 0)
  if (empty) console.log('A test runner executed no test, which counts as a failure.')
  const lines = failureLines(halves.flatMap(({ results }) => results))
  console.log(['', ...lines, closingLine(total)].join('\n'))
  return isGreen(total) && !empty
})
