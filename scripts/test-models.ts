// Runs the models of threads under loom, which tries every order of their steps.
import { targetFolder } from './lib/cargo.js'
import { cargoTest } from './lib/cargo-test.js'
import { conclude } from './lib/failures.js'
import { main } from './lib/run.js'

await main(async () => {
  const env = {
    ...process.env,
    CARGO_TARGET_DIR: targetFolder('models'),
    // Without optimisation, moving a base overflows the small stacks of loom's threads.
    CARGO_PROFILE_DEV_OPT_LEVEL: '1',
    RUSTFLAGS: '--cfg event_base_model',
  }
  const args = ['--package=event-base', '--test=models', ...process.argv.slice(2)]
  return conclude([await cargoTest(args, { env })])
})
