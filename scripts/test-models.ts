// The models of threads: loom in place of the lock, every order of steps. Built apart, since all is compiled anew.
import { join } from 'node:path'

import { cargoTest } from './lib/cargo-test.js'
import { failureLines } from './lib/failures.js'
import { closingLine, isGreen } from './lib/results.js'
import { main, root } from './lib/run.js'

await main(async () => {
  const env = {
    ...process.env,
    CARGO_TARGET_DIR: join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'models'),
    // Without optimisation a base is moved about until it overflows the small stacks that loom gives its threads.
    CARGO_PROFILE_DEV_OPT_LEVEL: '1',
    RUSTFLAGS: '--cfg event_base_model',
  }
  const args = ['--package=event-base', '--test=models', ...process.argv.slice(2)]
  const { totals, results } = await cargoTest(args, { env })
  console.log([...failureLines(results), closingLine(totals)].join('\n'))
  return isGreen(totals)
})
