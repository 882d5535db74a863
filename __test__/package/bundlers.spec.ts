/** Programs that a bundler has put into one file. */

import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { build, type Format } from 'esbuild'
import { describe, expect, test } from 'vitest'

import { readManifest, thisPlatform } from '../../scripts/lib/platforms.js'
import { folder } from '../net/support.js'
import { PATIENCE } from '../support/child.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const platform = thisPlatform(await readManifest())
const binary = `event-base.${platform}.node`
const built = process.env['NAPI_RS_NATIVE_LIBRARY_PATH'] || join(root, binary)

const program = `
import { EventBase } from 'event-base'
import { socket } from 'event-base/net'
const base = new EventBase()
socket.pair().forEach((fd) => socket.close(fd))
base.newTimer(() => console.log('fired')).add(0)
base.dispatch()
base.close()
try { base.dispatch() } catch ({ code, stack }) { console.log(code, stack.includes('app.')) }
`

const works = { status: 0, stdout: 'fired\nERR_EVENT_CLOSED true\n', stderr: '' }

const formats: readonly [Format, string][] = [
  ['esm', 'app.mjs'],
  ['cjs', 'app.cjs'],
]

/** Makes a bundle of the program in a new folder, without a warning, and returns the folder. */
async function bundle(format: Format, name: string, external: string[]): Promise<string> {
  const [source, place] = [folder(), folder()]
  install(source, true)
  const { warnings } = await build({
    stdin: { contents: program, resolveDir: source },
    outfile: join(place, name),
    bundle: true,
    platform: 'node',
    format,
    external,
    logLevel: 'silent',
  })
  expect(warnings).toEqual([])
  return place
}

function run(place: string, name: string): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(place, name)], {
    cwd: place,
    env: { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: '' },
    encoding: 'utf8',
    timeout: PATIENCE,
    killSignal: 'SIGKILL',
  })
  return { status, stdout, stderr }
}

/** Installs the addon's package of this platform, and the whole package if `isWhole`. */
function install(place: string, isWhole: boolean): void {
  const modules = join(place, 'node_modules')
  const addon = join(modules, '@event-base', platform)
  mkdirSync(addon, { recursive: true })
  cpSync(join(root, 'npm', platform, 'package.json'), join(addon, 'package.json'))
  symlinkSync(built, join(addon, binary))
  if (!isWhole) return
  cpSync(join(root, 'package.json'), join(modules, 'event-base/package.json'))
  cpSync(join(root, 'dist'), join(modules, 'event-base/dist'), { recursive: true })
}

describe.each(formats)('a bundle in the format %s', (format, name) => {
  test('to which the package is external runs', async () => {
    const place = await bundle(format, name, ['event-base', 'event-base/net'])
    install(place, true)
    expect(run(place, name)).toEqual(works)
  })

  test.each([
    ['the package', true],
    ['the package of the platform', false],
  ])('that contains the package runs where %s is installed', async (_what, isWhole) => {
    const place = await bundle(format, name, [])
    install(place, isWhole)
    expect(run(place, name)).toEqual(works)
  })

  test('that contains the package is refused with a remedy where nothing is installed', async () => {
    const place = await bundle(format, name, [])
    const { status, stdout, stderr } = run(place, name)
    expect([status, stdout]).toEqual([1, ''])
    expect(stderr).toContain(`Error: The native addon for ${platform} is not installed: `)
    expect(stderr).toContain('mark event-base as external in the bundler and install it beside the bundle')
    expect(stderr).toContain("code: 'ERR_EVENT_ADDON_MISSING'")
  })
})
