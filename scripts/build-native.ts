// Builds the addon and its declarations, binding.d.ts. The loader is `ts/addon`.
// Further arguments go to `napi build`, such as `--release` or `--target x86_64-apple-darwin`.
import { main, run, tool } from './lib/run.js'

await main(async () => {
  const { code } = await run(tool('napi'), [
    'build',
    '--platform',
    '--no-js',
    '--package=event-base-napi',
    '--manifest-path=Cargo.toml',
    '--output-dir=.',
    '--dts=binding.d.ts',
    ...process.argv.slice(2),
  ])
  return code === 0
})
