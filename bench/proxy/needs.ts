// Programs that have to be installed.
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { requireLibevent } from '../../scripts/lib/libevent.js'
import { run } from '../../scripts/lib/run.js'

/** Programs and their Debian packages. */
const PROGRAMS = {
  haproxy: 'haproxy',
  nginx: 'nginx',
  wrk: 'wrk',
  iperf3: 'iperf3',
  taskset: 'util-linux',
} as const

/** A program the benchmark runs. */
export type Program = keyof typeof PROGRAMS

// Daemons are not in the PATH of every user.
const FOLDERS = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin']

/** Finds a program. */
export function find(program: Program): string | undefined {
  return FOLDERS.map((folder) => join(folder, program)).find((path) => existsSync(path))
}

/** The path of a program that {@link requirePrograms} found. */
export function pathOf(program: Program): string {
  return find(program) ?? program
}

/** Throws if a program is missing, with the packages to install. */
export async function requirePrograms(): Promise<void> {
  if (process.platform !== 'linux') throw new Error('The proxies are compared on Linux only')
  const names = Object.keys(PROGRAMS) as Program[]
  const missing = names.filter((name) => find(name) === undefined)
  if (missing.length > 0) {
    throw new Error(
      `${missing.join(', ')} not found. Install them first:\n` +
        `  Debian, Ubuntu: apt-get install --no-install-recommends ${missing.map((name) => PROGRAMS[name]).join(' ')}`,
    )
  }
  await requireLibevent()
}

/** The versions of the programs, in one line. */
export async function versions(): Promise<string> {
  const haproxy = await run(pathOf('haproxy'), ['-v'], { quiet: true })
  const libevent = await run('pkg-config', ['--modversion', 'libevent'], { quiet: true })
  return `HAProxy ${/version (\S+)/.exec(haproxy.output)?.[1] ?? 'unknown'}, libevent ${libevent.output.trim()}`
}
