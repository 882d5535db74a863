// The tests of crates/conformance, which run the engine beside the system's libevent.
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { cargoTest } from './lib/cargo-test.js'
import { failureLines } from './lib/failures.js'
import { closingLine, isGreen } from './lib/results.js'
import { main, root, run } from './lib/run.js'

const manifest = 'crates/conformance/Cargo.toml'

await main(async () => {
  if (!existsSync(join(root, manifest))) throw new Error(`${manifest} is missing`)
  const found = await run('pkg-config', ['--exists', 'libevent'], { quiet: true })
  if (found.code !== 0) {
    throw new Error(
      'The headers of libevent were not found. Install them and pkg-config first:\n' +
        '  Debian, Ubuntu: apt-get install libevent-dev pkg-config\n' +
        '  macOS:          brew install libevent pkg-config\n' +
        '  FreeBSD:        pkg install libevent pkgconf',
    )
  }
  const { totals, results } = await cargoTest(['--manifest-path', manifest, ...process.argv.slice(2)])
  console.log([...failureLines(results), closingLine(totals)].join('\n'))
  return isGreen(totals)
})
