// Type-checks the crates for systems that are not this one, with Debian's compiler and the standard library's sources.
// Arguments are targets; without any, those of the platform packages that have no Linux kernel.
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'

import { readManifest } from './lib/platforms.js'
import { closingLine, isGreen } from './lib/results.js'
import { demand, main, root, run } from './lib/run.js'

const cargo = '/usr/bin/cargo'
const rustc = '/usr/bin/rustc'
// What is published; then with the tests, which those systems run, and which switch on a feature of the engine's.
const scopes = [[], ['--all-targets']]
const packages = ['rustc-web', 'cargo-web', 'rust-web-src']

/** The standard library's workspace, or why there is none. */
async function findLibrary(): Promise<string> {
  const install = `install what is missing: apt-get install ${packages.join(' ')}`
  if (!existsSync(cargo) || !existsSync(rustc)) throw new Error(`no ${cargo} or ${rustc}; ${install}`)
  const sysroot = (await demand(rustc, ['--print', 'sysroot'])).trim()
  const path = join(sysroot, 'lib/rustlib/src/rust/library')
  if (!existsSync(join(path, 'vendor'))) throw new Error(`no vendored sources in ${path}; ${install}`)
  return path
}

/** One folder with every dependency, this project's and the standard library's, since cargo looks in one place. */
async function vendor(folder: string, library: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await demand(cargo, ['vendor', '--locked', '--versioned-dirs', folder])
  const present = new Set(await readdir(folder))
  for (const name of await readdir(join(library, 'vendor'))) {
    if (!present.has(name)) await symlink(join(library, 'vendor', name), join(folder, name))
  }
}

await main(async () => {
  const library = await findLibrary()
  const { napi } = await readManifest()
  const named = process.argv.slice(2)
  const targets = named.length > 0 ? named : napi.targets.filter((target) => !target.includes('linux'))
  // Apart from the usual folder: another compiler's output would be thrown away there.
  const output = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'other-targets')
  const folder = join(output, 'vendor')
  await vendor(folder, library)
  const totals = { passed: 0, failed: 0, skipped: 0 }
  for (const target of targets) {
    for (const scope of scopes) {
      console.log(`--- ${[target, ...scope].join(' ')}`)
      const { code } = await run(
        cargo,
        [
          'check',
          '--offline',
          `--target=${target}`,
          '-Zbuild-std=std,panic_unwind',
          '--config=source.crates-io.replace-with="everything"',
          `--config=source.everything.directory=${JSON.stringify(folder)}`,
          ...scope,
        ],
        {
          env: {
            ...process.env,
            CARGO_TARGET_DIR: output,
            // -Z needs a nightly compiler, or one that is told to be as good.
            RUSTC_BOOTSTRAP: '1',
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
