// Folders that are kept from one run to the next, outside the repository.
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

/** A folder below the user's cache folder: `XDG_CACHE_HOME`, or `~/.cache`. */
export function cacheFolder(...names: readonly string[]): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'event-base', ...names)
}

/**
 * Makes a folder unless it was made from the same inputs before. An interrupted run leaves no folder that a later run
 * would use.
 *
 * @param inputs all that the contents depend on
 * @param make fills the folder, which is empty
 */
export async function cached(
  folder: string,
  inputs: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const stamp = `${folder}.inputs`
  if (existsSync(folder) && (await readFile(stamp, 'utf8').catch(() => '')) === inputs) return folder
  const fresh = `${folder}.new`
  await rm(stamp, { force: true })
  for (const old of [folder, fresh]) await rm(old, { recursive: true, force: true })
  await mkdir(fresh, { recursive: true })
  await make(fresh)
  await mkdir(dirname(folder), { recursive: true })
  await rename(fresh, folder)
  await writeFile(stamp, inputs)
  return folder
}
