// Type-checks the crates for other systems, with Debian's compiler and the sources of the standard library.
// The arguments are targets, by default those of the platform packages that do not run on Linux.
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { targetFolder, unstableOptions } from './lib/cargo.js'
import { readManifest } from './lib/platforms.js'
import { closingLine, isGreen } from './lib/results.js'
import { demand, main, run } from './lib/run.js'
import { vendor, vendored } from './lib/vendor.js'

const cargo = '/usr/bin/cargo'
const rustc = '/usr/bin/rustc'
// The published code; then all code, with the tests, which enable a feature of the engine.
const scopes = [[], ['--all-targets']]
const packages = ['rustc-web', 'cargo-web', 'rust-web-src']

/** Returns the workspace of the standard library. Throws if something is not installed. */
async function findLibrary(): Promise<string> {
  const install = `install it: apt-get install ${packages.join(' ')}`
  if (!existsSync(cargo) || !existsSync(rustc)) throw new Error(`no ${cargo} or ${rustc}; ${install}`)
  const sysroot = (await demand(rustc, ['--print', 'sysroot'])).trim()
  const path = join(sysroot, 'lib/rustlib/src/rust/library')
  if (!existsSync(join(path, 'vendor'))) throw new Error(`no vendored sources in ${path}; ${install}`)
  return path
}

await main(async () => {
  const library = await findLibrary()
  const { napi } = await readManifest()
  const named = process.argv.slice(2)
  const targets = named.length > 0 ? named : napi.targets.filter((target) => !target.includes('linux'))
  const output = targetFolder('other-targets')
  const folder = join(output, 'vendor')
  await vendor(folder, cargo, library)
  const totals = { passed: 0, failed: 0, skipped: 0 }
  for (const target of targets) {
    for (const scope of scopes) {
      console.log(`--- ${[target, ...scope].join(' ')}`)
      const { code } = await run(
        cargo,
        ['check', ...vendored(folder), `--target=${target}`, '-Zbuild-std=std,panic_unwind', ...scope],
        {
          env: {
            ...process.env,
            CARGO_TARGET_DIR: output,
            ...unstableOptions,
            RUSTC: rustc,
            RUSTFLAGS: '-D warnings',
          },
        },
      )
      totals[code === 0 ? 'passed' : 'failed'] += 1
    }
  }
  console.log(closingLine(totals))
  return isGreen(totals)
})
