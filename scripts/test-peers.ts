// The tests of crates/conformance, which run the engine beside the system's libevent.
import { cargoTest } from './lib/cargo-test.js'
import { failureLines } from './lib/failures.js'
import { peersManifest, requireLibevent } from './lib/libevent.js'
import { closingLine, isGreen } from './lib/results.js'
import { main } from './lib/run.js'

await main(async () => {
  await requireLibevent()
  const { totals, results } = await cargoTest(['--manifest-path', peersManifest, ...process.argv.slice(2)])
  console.log([...failureLines(results), closingLine(totals)].join('\n'))
  return isGreen(totals)
})
