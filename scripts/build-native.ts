// Builds the addon, its loader binding.js and its declarations binding.d.ts.
// Further arguments go to `napi build`, such as `--release` or `--target x86_64-apple-darwin`.
import { join } from 'node:path'

import { namePlatformsInLoader } from './lib/platforms.js'
import { main, root, run, tool } from './lib/run.js'

await main(async () => {
  const { code } = await run(tool('napi'), [
    'build',
    '--platform',
    '--esm',
    '--package=event-base-napi',
    '--manifest-path=Cargo.toml',
    '--output-dir=.',
    '--js=binding.js',
    '--dts=binding.d.ts',
    ...process.argv.slice(2),
  ])
  if (code !== 0) return false
  await namePlatformsInLoader(join(root, 'binding.js'))
  return true
})
