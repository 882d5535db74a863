// Runs the tests of crates/conformance, which compare the engine with the system's libevent.
import { cargoTest } from './lib/cargo-test.js'
import { conclude } from './lib/failures.js'
import { peersManifest, requireLibevent } from './lib/libevent.js'
import { main } from './lib/run.js'

await main(async () => {
  await requireLibevent()
  return conclude([await cargoTest(['--manifest-path', peersManifest, ...process.argv.slice(2)])])
})
