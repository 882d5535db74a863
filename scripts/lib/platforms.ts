// Names and generated files of the platform packages.
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { parseTriple } from '@napi-rs/cli'

import { thisPlatform as platformOfProcess } from '../../ts/addon/platform.js'
import { oldestGlibc } from './binaries/glibc.js'
import { removeFolder, temporaryFolder } from './exit.js'
import { demand, root, tool } from './run.js'

/** The fields of package.json that the scripts read. */
export interface Manifest {
  readonly name: string
  readonly version: string
  readonly napi: {
    readonly binaryName: string
    readonly packageName: string
    readonly targets: readonly string[]
  }
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** Reads package.json. */
export async function readManifest(): Promise<Manifest> {
  return JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest
}

/** The names of the platforms that are built, such as `linux-x64-gnu`, in the manifest's order. */
export function platforms({ napi }: Manifest): string[] {
  return napi.targets.map((triple) => parseTriple(triple).platformArchABI)
}

/** The npm name of a platform's package. */
export function platformPackage(platform: string): string {
  return `@event-base/${platform}`
}

/** The file name of a platform's addon. */
export function binaryName(manifest: Manifest, platform: string): string {
  return `${manifest.napi.binaryName}.${platform}.node`
}

/** The folder in which the release collects the addons of all platforms. */
export const ARTIFACTS: string = join(root, 'artifacts')

/** The path of a platform's addon in {@link ARTIFACTS}. */
export function artifact(manifest: Manifest, platform: string): string {
  return join(`bindings-${platform}`, binaryName(manifest, platform))
}

/** The `optionalDependencies` of the published root manifest; the manifest in the repository has none. */
export function platformDependencies(manifest: Manifest): Record<string, string> {
  return Object.fromEntries(platforms(manifest).map((name) => [platformPackage(name), manifest.version]))
}

/** The platform this script runs on. Throws if there is no package for it. */
export function thisPlatform(manifest: Manifest): string {
  const known = platforms(manifest)
  const name = platformOfProcess()
  if (!known.includes(name)) throw new Error(`no package is built for ${name}`)
  return name
}

/** The list of platforms that the loader reads. */
export const LOADER_LIST = 'ts/addon/platforms.ts'

/** Generates {@link LOADER_LIST}. */
function loaderList(manifest: Manifest): string {
  return `/** What \`npm run platform-packages\` generates from package.json for the loader. */

/** The version of the package, which is that of its addon. */
export const VERSION = '${manifest.version}'

/** The platforms that have an addon. */
export const PLATFORMS: readonly string[] = [
${platforms(manifest)
  .map((name) => `  '${name}',\n`)
  .join('')}]
`
}

/**
 * The manifest of a platform package.
 *
 * The napi command names a package `<packageName>-<platform>`, with the placeholder `packageName` of package.json. The
 * packages of this project are called `@event-base/<platform>`.
 */
function platformManifest(generated: string, platform: string, { napi }: Manifest): string {
  const fields = JSON.parse(generated.replaceAll(`${napi.packageName}-`, platformPackage(''))) as object
  // The napi command leaves the field out for 32-bit ARM.
  const libc = oldestGlibc(platform) === undefined ? {} : { libc: ['glibc'] }
  // Yarn keeps packages in archives, from which a system cannot load a library.
  return `${JSON.stringify({ ...fields, ...libc, preferUnplugged: true }, null, 2)}\n`
}

/**
 * Generates the files that follow from package.json: the loader's list, and the manifest, README and license of each
 * platform package. Returns path below the root → text.
 */
export async function generateFiles(): Promise<Map<string, string>> {
  const manifest = await readManifest()
  const license = await readFile(join(root, 'LICENSE'), 'utf8')
  const files = new Map([[LOADER_LIST, loaderList(manifest)]])
  const folder = temporaryFolder('npm')
  try {
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
    await demand(tool('napi'), ['create-npm-dirs', '--cwd', folder])
    for (const [index, name] of platforms(manifest).entries()) {
      const generated = await readFile(join(folder, 'npm', name, 'package.json'), 'utf8')
      files.set(`npm/${name}/LICENSE`, license)
      files.set(
        `npm/${name}/README.md`,
        `# \`${platformPackage(name)}\`\n\nThe native addon of [event-base](https://www.npmjs.com/package/event-base) for ` +
          `${manifest.napi.targets[index]}.\n`,
      )
      files.set(`npm/${name}/package.json`, platformManifest(generated, name, manifest))
    }
    return files
  } finally {
    removeFolder(folder)
  }
}

/** Reads the files that {@link generateFiles} generates, and every other file below `npm/` except binaries. */
export async function readGeneratedFiles(): Promise<Map<string, string>> {
  const list = await readFile(join(root, LOADER_LIST), 'utf8').catch(() => '')
  const texts = new Map([[LOADER_LIST, list]])
  const entries = await readdir(join(root, 'npm'), { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (!entry.isFile() || entry.name.endsWith('.node')) continue
    const path = join(entry.parentPath, entry.name)
    texts.set(path.slice(root.length + 1), await readFile(path, 'utf8'))
  }
  return texts
}
