// The sources of all dependencies in one folder, for builds that compile the standard library too.
import { mkdir, readdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'

import { demand } from './run.js'

/** The flags of cargo that take all dependencies from the folder of {@link vendor}. */
export function vendored(folder: string): string[] {
  return [
    '--offline',
    '--config=source.crates-io.replace-with="everything"',
    `--config=source.everything.directory=${JSON.stringify(folder)}`,
  ]
}

/**
 * Puts the dependencies of the project and of the standard library into one folder, because cargo reads only one.
 *
 * @param cargo the program
 * @param library the folder with the sources of the standard library
 * @param seen the path of this folder in the process that builds
 */
export async function vendor(folder: string, cargo: string, library: string, seen = library): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await demand(cargo, ['vendor', '--locked', '--versioned-dirs', folder])
  const present = new Set(await readdir(folder))
  for (const name of await readdir(join(library, 'vendor'))) {
    if (!present.has(name)) await symlink(join(seen, 'vendor', name), join(folder, name))
  }
}
