// Wheels of PyPI, which contain programs for other systems too.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { removeFolder, temporaryFolder } from './exit.js'
import { demand, run } from './run.js'

/** The command of pip. */
async function pip(): Promise<readonly [string, ...string[]]> {
  for (const command of [['python3', '-m', 'pip'], ['pip3']] as const) {
    const [program, ...args] = command
    if ((await run(program, [...args, '--version'], { quiet: true })).code === 0) return command
  }
  throw new Error('pip was not found; install python3-pip')
}

/**
 * Unpacks wheels into a folder.
 *
 * @param requirements lines of a requirements file, each with the hash of the wheel
 * @param platforms the platform tags of the wheels that may be taken
 */
export async function installWheels(
  folder: string,
  requirements: readonly string[],
  platforms: readonly string[],
): Promise<void> {
  const [program, ...args] = await pip()
  const temporary = temporaryFolder('wheels')
  const list = join(temporary, 'requirements.txt')
  await writeFile(list, `${requirements.join('\n')}\n`)
  await mkdir(folder, { recursive: true })
  await demand(program, [
    ...args,
    'install',
    '--quiet',
    '--no-deps',
    '--only-binary=:all:',
    '--require-hashes',
    '--no-compile',
    `--requirement=${list}`,
    `--target=${folder}`,
    ...platforms.map((name) => `--platform=${name}`),
  ])
  removeFolder(temporary)
}
