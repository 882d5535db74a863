// A program that uses the installed package, on a PATH without a compiler.
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { platformPackage } from './platforms.js'
import { demand, run } from './run.js'

/** The body of the program, for both module systems. */
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
const { bun, deno } = process.versions
if (bun === undefined && deno === undefined) {
  const loaded = process.report.getReport().sharedObjects.filter((path) => path.endsWith('.node'))
  if (!loaded.some((path) => path.includes(PACKAGE))) throw new Error('loaded from elsewhere: ' + loaded)
}
console.log('it works')
`

const viaImport = `
import { EventBase, LoopResult } from 'event-base'
import { socket } from 'event-base/net'
`

const viaRequire = `
const { EventBase, LoopResult } = require('event-base')
const { socket } = require('event-base/net')
`

/**
 * Writes a project with the programs `smoke.mjs` and `smoke.cjs`. They fail if the package does not work, or if the
 * addon was not loaded from the platform's package, which only Node can report.
 *
 * @param folder an empty folder
 */
export async function writeConsumer(folder: string, platform: string): Promise<void> {
  const pin = `const PACKAGE = ${JSON.stringify(join('node_modules', platformPackage(platform)))}\n`
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n')
  await writeFile(join(folder, 'smoke.mjs'), viaImport + pin + smoke)
  await writeFile(join(folder, 'smoke.cjs'), viaRequire + pin + smoke)
}

/** An environment whose PATH has Node, npm, a shell with a few tools, and the programs, but no compiler. */
export async function bareEnvironment(
  folder: string,
  programs: Readonly<Record<string, string>> = {},
): Promise<NodeJS.ProcessEnv> {
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await symlink(process.execPath, join(bin, 'node'))
  // The programs that package managers write for a command use the last ones.
  for (const name of ['npm', 'npx', 'sh', 'env', 'uname', 'sed', 'dirname']) {
    const path = await demand('sh', ['-c', `command -v ${name}`])
    await symlink(path.trim(), join(bin, name))
  }
  for (const [name, command] of Object.entries(programs)) {
    await writeFile(join(bin, name), `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 })
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
