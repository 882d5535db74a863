// npm packages that the scripts use and that are not development dependencies: too large, or of one platform only.
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { cacheFolder } from './cache.js'
import { run } from './run.js'

/**
 * Installs a package into the user's cache folder and returns the package's folder there. Uses a cached one if npm cannot
 * be reached. The package may be for another system.
 *
 * @param overrides versions of its dependencies that replace those it names
 */
export async function cachedPackage(
  name: string,
  version: string,
  overrides: Readonly<Record<string, string>> = {},
): Promise<string> {
  const what = `${name}@${version}`
  const folder = cacheFolder('packages', what.replace('/', '+'))
  const installed = join(folder, 'node_modules', name)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, overrides }))
  const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts', '--force', what]
  const { code, output } = await run('npm', args, { cwd: folder, quiet: true })
  if (code !== 0 && !existsSync(installed)) throw new Error(`${what} could not be installed:\n${output}`)
  return installed
}

/** Installs a version of Node for this system and returns the program. */
export async function cachedNode(version: string): Promise<string> {
  return join(await cachedPackage(`node-${process.platform}-${process.arch}`, version), 'bin/node')
}

/** Installs the newest Bun for this system and returns the program. */
export async function cachedBun(): Promise<string> {
  return join(await cachedPackage(`@oven/bun-${process.platform}-${process.arch}`, 'latest'), 'bin/bun')
}

/** Installs the newest Deno for this system and returns the program. */
export async function cachedDeno(): Promise<string> {
  const libc = process.platform === 'linux' ? '-glibc' : ''
  return join(await cachedPackage(`@deno/${process.platform}-${process.arch}${libc}`, 'latest'), 'deno')
}
