// Runs every test, Rust and then vitest, and prints one closing line.
// `--rust` or `--ts` runs one of the two, with the arguments that follow.
import { cargoTest } from './lib/cargo-test.js'
import { conclude } from './lib/failures.js'
import type { Report } from './lib/results.js'
import { main } from './lib/run.js'
import { vitest } from './lib/vitest.js'

await main(async () => {
  const [half, ...args] = process.argv.slice(2)
  if (half !== undefined && half !== '--rust' && half !== '--ts') {
    throw new Error(`unknown argument ${half}; the first argument must be --rust or --ts`)
  }
  const halves: Report[] = []
  if (half !== '--ts') halves.push(await cargoTest(args))
  if (half !== '--rust') halves.push(await vitest(args))
  const empty = halves.some(({ totals }) => totals.passed + totals.failed === 0)
  if (empty) console.log('A test runner ran no test, which counts as a failure.')
  return conclude(halves) && !empty
})
