// Builds the addon and its declarations, binding.d.ts. The loader is `ts/addon`.
// Further arguments go to `napi build`, such as `--release` or `--target x86_64-apple-darwin`. An addon that is built for
// a named target may be published, so it contains no path of this machine.
import { homedir } from 'node:os'
import { join } from 'node:path'

import { main, root, run, tool } from './lib/run.js'

/** The environment with flags that remove the folders of this machine from the paths in the addon. */
function withoutPaths(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const registry = join(env['CARGO_HOME'] ?? join(homedir(), '.cargo'), 'registry/src')
  const flags = [registry, root].map((folder) => `--remap-path-prefix=${folder}/=`)
  return { ...env, RUSTFLAGS: [env['RUSTFLAGS'] ?? '', ...flags].join(' ').trim() }
}

await main(async () => {
  const args = process.argv.slice(2)
  const isPublished = args.some((arg) => /^--target(?:=|$)/.test(arg))
  const { code } = await run(
    tool('napi'),
    [
      'build',
      '--platform',
      '--no-js',
      '--package=event-base-napi',
      '--manifest-path=Cargo.toml',
      '--output-dir=.',
      '--dts=binding.d.ts',
      ...args,
    ],
    isPublished ? { env: withoutPaths(process.env) } : {},
  )
  return code === 0
})
