// The models of threads: loom in place of the lock, every order of steps. Built apart, since all is compiled anew.
import { join } from 'node:path'

import { cargoTest } from './lib/cargo-test.js'
import { closingLine, isGreen } from './lib/results.js'
import { main, root } from './lib/run.js'

await main(async () => {
  const env = {
    ...process.env,
    CARGO_TARGET_DIR: join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'models'),
    RUSTFLAGS: '--cfg event_base_model',
  }
  const args = ['--package=event-base', '--test=models', ...process.argv.slice(2)]
  const { totals } = await cargoTest(args, { env })
  console.log(closingLine(totals))
  return isGreen(totals) && totals.passed > 0
})
