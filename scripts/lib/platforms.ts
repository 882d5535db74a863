// Names and generated files of the platform packages.
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { parseTriple } from '@napi-rs/cli'

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

/** The `optionalDependencies` of the published root manifest; the manifest in the repository has none. */
export function platformDependencies(manifest: Manifest): Record<string, string> {
  return Object.fromEntries(platforms(manifest).map((name) => [platformPackage(name), manifest.version]))
}

/** The platform this script runs on. Throws if there is no package for it. */
export function thisPlatform(manifest: Manifest): string {
  const { platform, arch, report } = process
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } }
  const libc = header.glibcVersionRuntime === undefined ? '-musl' : '-gnu'
  const name = `${platform}-${arch}${platform === 'linux' ? libc : ''}`
  if (!platforms(manifest).includes(name)) throw new Error(`no package is built for ${name}`)
  return name
}

/**
 * Replaces the names of the platform packages in a text that the napi command generated.
 *
 * That command names a package `<packageName>-<platform>` and requires the part before the hyphen. The packages of this
 * project are called `@event-base/<platform>`, so the placeholder is removed from the loader, the manifests and the
 * README files. It occurs nowhere else.
 */
export function namePlatforms(generated: string, { name, napi }: Manifest): string {
  return generated.replaceAll(`${napi.packageName}-`, platformPackage('')).replaceAll(napi.packageName, name)
}

/** Replaces the names of the platform packages in the generated loader. Throws if one of them is missing then. */
export async function namePlatformsInLoader(file: string): Promise<void> {
  const manifest = await readManifest()
  const loader = namePlatforms(await readFile(file, 'utf8'), manifest)
  for (const platform of platforms(manifest)) {
    if (!loader.includes(`require('${platformPackage(platform)}')`)) {
      throw new Error(`the generated loader does not load ${platformPackage(platform)}`)
    }
  }
  await writeFile(file, loader)
}

/** Generates the manifests and README files of the platform packages: path below npm/ → text. */
export async function generatePlatformPackages(): Promise<Map<string, string>> {
  const manifest = await readManifest()
  const folder = await mkdtemp(join(tmpdir(), 'event-base-npm-'))
  try {
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
    await demand(tool('napi'), ['create-npm-dirs', '--cwd', folder])
    return new Map(
      [...(await readTexts(join(folder, 'npm')))].map(([path, text]) => [
        path,
        `${namePlatforms(text, manifest).trimEnd()}\n`,
      ]),
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Reads every file below a folder except binaries: path → text, sorted by path. */
export async function readTexts(folder: string): Promise<Map<string, string>> {
  const texts = new Map<string, string>()
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && !entry.name.endsWith('.node'))
  for (const path of files.map((entry) => join(entry.parentPath, entry.name)).toSorted()) {
    texts.set(path.slice(folder.length + 1), await readFile(path, 'utf8'))
  }
  return texts
}
