// Checks that the addon is not older than its sources.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { binaryName, readManifest, thisPlatform } from './platforms.js'
import { root } from './run.js'

/** Folders whose files are not part of the addon. */
const elsewhere =
  /[/\\](?:tests|benches|examples|target)[/\\]|[/\\]crates[/\\](?:conformance|faults|fuzz)[/\\]/

/** The files that the addon is built from: Rust sources and Cargo's files. */
export async function addonSources(): Promise<string[]> {
  const entries = await readdir(join(root, 'crates'), { recursive: true, withFileTypes: true })
  const below = entries
    .filter((entry) => entry.isFile() && (entry.name.endsWith('.rs') || entry.name === 'Cargo.toml'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !elsewhere.test(path))
  return [...below, join(root, 'Cargo.toml'), join(root, 'Cargo.lock')]
}

async function modified(path: string): Promise<number> {
  return (await stat(path)).mtimeMs
}

/** Why the addon of this platform is not current, or `undefined` if it is. */
export async function addonProblem(): Promise<string | undefined> {
  const manifest = await readManifest()
  const name = binaryName(manifest, thisPlatform(manifest))
  const built = await modified(join(root, name)).catch(() => undefined)
  if (built === undefined) return `${name} is not built`
  for (const path of await addonSources()) {
    if ((await modified(path)) > built) return `${name} is older than ${path.slice(root.length + 1)}`
  }
  return undefined
}
