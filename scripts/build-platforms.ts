// Builds the addon for every platform, or for the named targets, on one Linux x64 machine. The compilers are installed
// in the user's cache folder and run there with paths that are the same on every machine, so that the same sources result
// in the same bytes. `--twice` builds everything again from nothing and compares.
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'

import { parseTriple } from '@napi-rs/cli'

import { addonSources } from './lib/addon.js'
import { binaryProblems } from './lib/binaries/check.js'
import { oldestGlibc } from './lib/binaries/glibc.js'
import { cached, cacheFolder } from './lib/cache.js'
import { unstableOptions } from './lib/cargo.js'
import { temporaryFolder } from './lib/exit.js'
import { inRoot, requireRoots } from './lib/in-root.js'
import { artifact, ARTIFACTS, readManifest } from './lib/platforms.js'
import { closingLine, isGreen } from './lib/results.js'
import { main, root } from './lib/run.js'
import { installToolchain, lacksLibrary, LIBRARY, RUST, TOOLCHAIN } from './lib/toolchain.js'
import { vendor, vendored } from './lib/vendor.js'

/** The paths of the build. */
const SOURCE = '/event-base'
const CRATES = '/crates'
const TARGET = '/target'
const ZIG = '/zig'

/** The settings of one target. */
interface Recipe {
  /** What cargo-zigbuild has as its target. */
  readonly zigTarget: string
  readonly flags: readonly string[]
  /** `opt-level` of the profile. */
  readonly optimization: string
}

function recipe(triple: string): Recipe {
  const flags = [
    `--remap-path-prefix=${CRATES}/=`,
    `--remap-path-prefix=${SOURCE}/=`,
    `--remap-path-prefix=${LIBRARY}/=/rustc/library/`,
  ]
  // The addon is loaded into a process that has a C library already.
  if (triple.includes('-musl')) flags.push('-Ctarget-feature=-crt-static')
  const glibc = oldestGlibc(parseTriple(triple).platformArchABI)
  const zigTarget = glibc === undefined ? triple : `${triple}.${glibc}`
  // The code for these processors is larger than that for others.
  const optimization = /^(powerpc64le|s390x)-/.test(triple) ? 's' : '3'
  return { zigTarget, flags, optimization }
}

/** The hash of all that the binaries are made from. */
async function hashOfInputs(triple: string): Promise<string> {
  const hash = createHash('sha256')
    .update(TOOLCHAIN)
    .update(JSON.stringify(recipe(triple)))
  for (const path of (await addonSources()).sort()) {
    hash
      .update(path.slice(root.length))
      .update('\0')
      .update(await readFile(path))
      .update('\0')
  }
  return hash.digest('hex')
}

/**
 * Compiles one target.
 *
 * @param work the folder for what the compilers keep
 * @returns the path of the library
 */
async function compile(triple: string, toolchain: string, crates: string, work: string): Promise<string> {
  const { zigTarget, flags, optimization } = recipe(triple)
  for (const name of ['target', 'zig']) await mkdir(join(work, name), { recursive: true })
  const { code } = await inRoot(
    '/tools/bin/cargo-zigbuild',
    [
      'zigbuild',
      '--release',
      '--package=event-base-napi',
      `--target=${zigTarget}`,
      ...(lacksLibrary(triple) ? ['-Zbuild-std=std,panic_unwind'] : []),
      ...vendored(CRATES),
    ],
    {
      root: toolchain,
      folder: SOURCE,
      mounts: [
        { from: root, to: SOURCE },
        { from: crates, to: CRATES },
        { from: join(work, 'target'), to: TARGET, writable: true },
        { from: join(work, 'zig'), to: ZIG, writable: true },
      ],
      env: {
        PATH: '/tools/bin:/usr/bin:/bin:/usr/sbin:/sbin',
        HOME: '/tmp',
        CARGO_HOME: '/tmp/cargo',
        CARGO_TARGET_DIR: TARGET,
        MACOSX_DEPLOYMENT_TARGET: '11.0',
        CARGO_PROFILE_RELEASE_OPT_LEVEL: optimization,
        RUSTFLAGS: flags.join(' '),
        XDG_CACHE_HOME: ZIG,
        ZIG_GLOBAL_CACHE_DIR: ZIG,
        ZIG_LOCAL_CACHE_DIR: ZIG,
        ...unstableOptions,
      },
    },
  )
  if (code !== 0) throw new Error(`${triple} could not be built`)
  const name = triple.includes('-apple-') ? 'libevent_base_napi.dylib' : 'libevent_base_napi.so'
  return join(work, 'target', triple, 'release', name)
}

await main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { twice: { type: 'boolean', default: false } },
  })
  requireRoots()
  const manifest = await readManifest()
  const targets = positionals.length > 0 ? positionals : manifest.napi.targets
  const toolchain = await installToolchain()
  const lock = await readFile(join(root, 'Cargo.lock'), 'utf8')
  const crates = await cached(cacheFolder('platforms', 'crates'), RUST + lock, (folder) =>
    vendor(folder, 'cargo', join(toolchain, LIBRARY), LIBRARY),
  )

  const lines: string[] = []
  const totals = { passed: 0, failed: 0, skipped: 0 }
  const report = (name: string, problems: readonly string[], detail: string): void => {
    totals[problems.length === 0 ? 'passed' : 'failed'] += 1
    lines.push(
      `${problems.length === 0 ? 'ok  ' : 'FAIL'} ${name}: ${detail}`,
      ...problems.map((text) => `       ${text}`),
    )
  }
  for (const triple of targets) {
    const platform = parseTriple(triple).platformArchABI
    console.log(`--- ${platform}`)
    const start = performance.now()
    const seconds = (): string => `${((performance.now() - start) / 1000).toFixed(0)} s`
    let isNew = false
    const folder = await cached(
      cacheFolder('platforms', 'built', triple),
      await hashOfInputs(triple),
      async (into) => {
        isNew = true
        const built = await compile(triple, toolchain, crates, cacheFolder('platforms', 'work'))
        await copyFile(built, join(into, 'addon.node'))
      },
    )
    const binary = join(folder, 'addon.node')
    const file = join(ARTIFACTS, artifact(manifest, platform))
    await mkdir(dirname(file), { recursive: true })
    await copyFile(binary, file)
    const bytes = await readFile(binary)
    const hash = createHash('sha256').update(bytes).digest('hex')
    report(
      platform,
      binaryProblems(bytes, platform),
      `${bytes.length} bytes, sha256 ${hash}, ${isNew ? seconds() : 'built before'}`,
    )
    if (values.twice) {
      const work = temporaryFolder('platforms')
      const again = await readFile(await compile(triple, toolchain, crates, work))
      await rm(work, { recursive: true })
      report(`${platform} twice`, again.equals(bytes) ? [] : ['the second build has other bytes'], seconds())
    }
  }
  console.log(`\n${lines.join('\n')}\n${closingLine(totals)}`)
  return isGreen(totals)
})
