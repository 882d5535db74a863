// Checks the contents of the packages, then installs and uses them in an empty folder, with no compiler on the PATH.
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { SIZE_LIMIT } from './lib/binaries/check.js'
import { bareEnvironment, writeConsumer } from './lib/consumer.js'
import { temporaryFolder } from './lib/exit.js'
import {
  binaryName,
  platformDependencies,
  readManifest,
  thisPlatform,
  type Manifest,
} from './lib/platforms.js'
import { closingLine, isGreen } from './lib/results.js'
import { demand, main, root, run, tool } from './lib/run.js'

/** A packed folder. */
interface Packed {
  readonly tarball: string
  /** The number of bytes of all files. */
  readonly unpacked: number
  readonly files: readonly string[]
}

async function pack(folder: string, into: string): Promise<Packed> {
  const args = ['pack', folder, '--pack-destination', into, '--ignore-scripts', '--silent', '--json']
  const [found] = JSON.parse(await demand('npm', args)) as [
    { filename: string; unpackedSize: number; files: { path: string }[] },
  ]
  const files = found.files.map(({ path }) => path)
  return { tarball: join(into, found.filename), unpacked: found.unpackedSize, files }
}

/** The most bytes that the root package may have when unpacked, and the texts of a platform package. */
const LIMITS = { root: 600_000, texts: 10_000 }

/** What is wrong with the contents of a package. */
function problems(packed: Packed, limit: number, wanted: readonly string[]): string[] {
  const missing = wanted.filter((file) => !packed.files.includes(file))
  return [
    ...(packed.unpacked > limit ? [`it has ${packed.unpacked} bytes unpacked, of at most ${limit}`] : []),
    ...(missing.length > 0 ? [`it lacks ${missing.join(', ')}`] : []),
  ]
}

/** Whether a file in `dist` is compiled from a source, and not what an earlier build left there. */
function hasSource(file: string): boolean {
  const source = file.replace(/^dist\/(.*?)(?:\.d\.ts|\.js)$/, '$1.ts')
  return source !== file && existsSync(join(root, source))
}

function checkRoot(packed: Packed): boolean {
  const wanted = ['LICENSE', 'README.md', 'CHANGELOG.md', 'package.json', 'binding.d.ts', 'dist/index.js']
  const found = problems(packed, LIMITS.root, wanted)
  const old = packed.files.find((file) => file.startsWith('dist/') && !hasSource(file))
  if (old !== undefined) found.push(`dist has files of an earlier build, such as ${old}: delete dist`)
  return report(`event-base: ${packed.unpacked} bytes, ${packed.files.length} files`, found)
}

function checkPlatform(packed: Packed, binary: string): boolean {
  const wanted = ['LICENSE', 'README.md', 'package.json', binary]
  const found = problems(packed, SIZE_LIMIT + LIMITS.texts, wanted)
  if (packed.files.length > wanted.length) found.push(`it has more files than ${wanted.join(', ')}`)
  return report(`${binary}: ${packed.unpacked} bytes`, found)
}

function report(title: string, found: readonly string[]): boolean {
  console.log([title, ...found.map((problem) => `  ${problem}`)].join('\n'))
  return found.length === 0
}

/** Packs the root as it will be published, with the platform packages in its manifest. */
async function packRoot(manifest: Manifest, into: string): Promise<Packed> {
  const plain = await pack(root, into)
  await demand('tar', ['-xzf', plain.tarball, '-C', into])
  const file = join(into, 'package', 'package.json')
  const published = JSON.parse(await readFile(file, 'utf8')) as object
  const dependencies = { optionalDependencies: platformDependencies(manifest) }
  await writeFile(file, JSON.stringify({ ...published, ...dependencies }, null, 2))
  return pack(join(into, 'package'), into)
}

async function packPlatform(manifest: Manifest, binary: string, into: string): Promise<Packed> {
  const platform = thisPlatform(manifest)
  const folder = join(into, platform)
  await cp(join(root, 'npm', platform), folder, { recursive: true })
  await cp(join(root, binary), join(folder, binary))
  return pack(folder, into)
}

async function passes(...command: Parameters<typeof run>): Promise<boolean> {
  return (await run(...command)).code === 0
}

await main(async () => {
  const manifest = await readManifest()
  const folder = temporaryFolder('package')
  const packed = join(folder, 'packed')
  const user = join(folder, 'user')
  await mkdir(packed)
  await mkdir(user)
  const binary = binaryName(manifest, thisPlatform(manifest))
  const rootPackage = await packRoot(manifest, packed)
  const addonPackage = await packPlatform(manifest, binary, packed)
  const env = await bareEnvironment(folder)
  const use = { cwd: user, env }
  await writeConsumer(user, thisPlatform(manifest))

  // Offline: the packages of other platforms are not needed, and may not be published yet.
  const install = ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts']
  const steps: readonly (readonly [string, () => boolean | Promise<boolean>])[] = [
    ['contents of event-base', () => checkRoot(rootPackage)],
    ['contents of the platform package', () => checkPlatform(addonPackage, binary)],
    [
      'install both tarballs',
      () => passes('npm', [...install, rootPackage.tarball, addonPackage.tarball], use),
    ],
    ['import', () => passes('node', ['smoke.mjs'], use)],
    ['require', () => passes('node', ['smoke.cjs'], use)],
    ['npx event-base methods', () => passes('npx', ['--offline', 'event-base', 'methods'], use)],
    [
      'publint',
      () => passes(tool('publint'), ['run', join(packed, 'package'), '--strict', '--pack', 'false']),
    ],
    ['attw', () => passes(tool('attw'), [rootPackage.tarball, '--profile', 'esm-only'])],
  ]
  const totals = { passed: 0, failed: 0, skipped: 0 }
  for (const [name, step] of steps) {
    const passed = await step()
    totals[passed ? 'passed' : 'failed'] += 1
    console.log(`${passed ? 'ok  ' : 'FAIL'} ${name}`)
  }
  console.log(closingLine(totals))
  return isGreen(totals)
})
