// Installs and uses the packed packages in an empty folder, with no compiler on the PATH.
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import {
  platformDependencies,
  platformPackage,
  readManifest,
  thisPlatform,
  type Manifest,
} from './lib/platforms.js'
import { closingLine, isGreen } from './lib/results.js'
import { demand, main, root, run, tool } from './lib/run.js'

/** The body of the smoke test, for both module systems. */
const smoke = `
let fired = 0
const base = new EventBase()
base.newTimer(() => { fired += 1 }).add(1)
const result = base.dispatch()
if (fired !== 1 || result !== LoopResult.EMPTY) throw new Error('the timer fired ' + fired + ' times, result ' + result)
base.close()
const [left, right] = socket.pair()
socket.write(left, Buffer.from('x'))
if (socket.read(right, Buffer.alloc(1)) !== 1) throw new Error('the byte did not arrive')
socket.close(left)
socket.close(right)
const loaded = process.report.getReport().sharedObjects.filter((path) => path.endsWith('.node'))
if (!loaded.some((path) => path.includes(PLATFORM))) throw new Error('loaded from elsewhere: ' + loaded)
`

const viaImport = `
import { EventBase, LoopResult } from 'event-base'
import { socket } from 'event-base/net'
`

const viaRequire = `
const { EventBase, LoopResult } = require('event-base')
const { socket } = require('event-base/net')
`

/** Packs a folder and returns the tarball's path. */
async function pack(folder: string, into: string): Promise<string> {
  const text = await demand('npm', [
    'pack',
    folder,
    '--pack-destination',
    into,
    '--ignore-scripts',
    '--silent',
  ])
  return join(into, text.trim().split('\n').at(-1) ?? '')
}

/** Packs the root as it will be published, with the platform packages in its manifest. */
async function packRoot(manifest: Manifest, into: string): Promise<string> {
  const plain = await pack(root, into)
  await demand('tar', ['-xzf', plain, '-C', into])
  const file = join(into, 'package', 'package.json')
  const published = JSON.parse(await readFile(file, 'utf8')) as object
  const dependencies = { optionalDependencies: platformDependencies(manifest) }
  await writeFile(file, JSON.stringify({ ...published, ...dependencies }, null, 2))
  return pack(join(into, 'package'), into)
}

async function packPlatform(manifest: Manifest, into: string): Promise<string> {
  const platform = thisPlatform(manifest)
  const folder = join(into, platform)
  const binary = `${manifest.napi.binaryName}.${platform}.node`
  await cp(join(root, 'npm', platform), folder, { recursive: true })
  await cp(join(root, binary), join(folder, binary))
  return pack(folder, into)
}

/** An environment whose PATH has Node, npm and a shell, and no compiler. */
async function bareEnvironment(folder: string): Promise<NodeJS.ProcessEnv> {
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await symlink(process.execPath, join(bin, 'node'))
  for (const name of ['npm', 'npx', 'sh']) {
    const path = await demand('sh', ['-c', `command -v ${name}`])
    await symlink(path.trim(), join(bin, name))
  }
  const env = {
    HOME: folder,
    PATH: bin,
    npm_config_cache: join(folder, 'cache'),
    npm_config_update_notifier: 'false',
  }
  for (const name of ['cargo', 'rustc', 'cc']) {
    const { code } = await run('sh', ['-c', `command -v ${name}`], { env, quiet: true })
    if (code === 0) throw new Error(`${name} is on the PATH of the smoke test`)
  }
  return env
}

await main(async () => {
  const manifest = await readManifest()
  const folder = await mkdtemp(join(tmpdir(), 'event-base-package-'))
  try {
    const packed = join(folder, 'packed')
    const user = join(folder, 'user')
    await mkdir(packed)
    await mkdir(user)
    const rootTarball = await packRoot(manifest, packed)
    const platformTarball = await packPlatform(manifest, packed)
    const env = await bareEnvironment(folder)
    const use = { cwd: user, env }

    const pin = `const PLATFORM = ${JSON.stringify(join('node_modules', platformPackage(thisPlatform(manifest))))}\n`
    await writeFile(join(user, 'package.json'), '{ "private": true }\n')
    await writeFile(join(user, 'smoke.mjs'), viaImport + pin + smoke)
    await writeFile(join(user, 'smoke.cjs'), viaRequire + pin + smoke)

    // Offline: the packages of other platforms are not needed, and may not be published yet.
    const install = ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts']
    const steps: readonly (readonly [string, () => ReturnType<typeof run>])[] = [
      ['install both tarballs', () => run('npm', [...install, rootTarball, platformTarball], use)],
      ['import', () => run('node', ['smoke.mjs'], use)],
      ['require', () => run('node', ['smoke.cjs'], use)],
      ['npx event-base methods', () => run('npx', ['--offline', 'event-base', 'methods'], use)],
      [
        'publint',
        () => run(tool('publint'), ['run', join(packed, 'package'), '--strict', '--pack', 'false']),
      ],
      ['attw', () => run(tool('attw'), [rootTarball, '--profile', 'esm-only'])],
    ]
    const totals = { passed: 0, failed: 0, skipped: 0 }
    for (const [name, step] of steps) {
      const { code } = await step()
      totals[code === 0 ? 'passed' : 'failed'] += 1
      console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${name}`)
    }
    console.log(closingLine(totals))
    return isGreen(totals)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
