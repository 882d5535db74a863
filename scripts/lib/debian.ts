// Packages of Debian in a folder of their own. apt gets its own lists and its own record of what is installed, so
// nothing on the machine changes.
import { existsSync } from 'node:fs'
import { cp, lstat, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { cacheFolder } from './cache.js'
import { demand, run } from './run.js'

/** A release of Debian, for one of its architectures. */
export interface Debian {
  readonly release: 'bullseye' | 'bookworm' | 'trixie' | 'forky' | 'experimental'
  readonly arch: string
  /** Whether packages come from the archive of security updates too. */
  readonly security?: boolean
}

/** Where the packages come from if apt of this machine has no archive of Debian. */
const ARCHIVE = 'http://deb.debian.org/debian/'
const SECURITY = 'http://deb.debian.org/debian-security/'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** Throws if this machine cannot unpack packages of Debian. */
async function requireTools(): Promise<void> {
  for (const [program, what] of [
    ['apt-get', 'apt'],
    ['dpkg-deb', 'dpkg'],
  ] as const) {
    const { code } = await run(program, ['--version'], { quiet: true })
    if (code !== 0) throw new Error(`${program} was not found; install ${what}`)
  }
  if (!existsSync(KEYRING)) throw new Error(`no ${KEYRING}; apt-get install debian-archive-keyring`)
}

/** The archives that apt of this machine uses. */
async function archives(): Promise<{ readonly main: string; readonly security: string }> {
  const format = '$(ORIGIN)|$(RELEASE)|$(REPO_URI)'
  const { stdout } = await run('apt-get', ['indextargets', '--format', format], { quiet: true })
  const found = stdout
    .split('\n')
    .map((line) => line.split('|'))
    .filter(([origin]) => origin === 'Debian')
  const of = (isSecurity: boolean): string | undefined =>
    found.find(([, release = '']) => release.endsWith('-security') === isSecurity)?.[2]
  return { main: of(false) ?? ARCHIVE, security: of(true) ?? SECURITY }
}

/** A line of apt's list of sources. */
function entry(uri: string, suite: string): string {
  return `deb [signed-by=${KEYRING}] ${uri} ${suite} main\n`
}

/**
 * Downloads packages and returns the files.
 *
 * @param what whether what the packages depend on is downloaded too
 */
async function download(
  { release, arch, security = false }: Debian,
  packages: readonly string[],
  what: 'alone' | 'with dependencies',
): Promise<string[]> {
  await requireTools()
  const folder = cacheFolder('debian', `${release}-${arch}`)
  const archive = join(folder, 'archives')
  await rm(archive, { recursive: true, force: true })
  for (const name of ['lists/partial', 'archives/partial'])
    await mkdir(join(folder, name), { recursive: true })
  const from = await archives()
  const updates = security ? entry(from.security, `${release}-security`) : ''
  await writeFile(join(folder, 'sources.list'), entry(from.main, release) + updates)
  await writeFile(join(folder, 'status'), '')
  const settings = {
    'APT::Architecture': arch,
    'APT::Architectures': arch,
    // The folder is the user's, which apt's own user cannot read.
    'APT::Sandbox::User': 'root',
    'Dir::Cache': folder,
    'Dir::Cache::Archives': archive,
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State': folder,
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::State::status': join(folder, 'status'),
  }
  const options = Object.entries(settings).map(([name, value]) => `--option=${name}=${value}`)
  await demand('apt-get', [...options, 'update'])
  const command =
    what === 'alone' ? ['download'] : ['install', '--download-only', '--yes', '--no-install-recommends']
  await demand('apt-get', [...options, ...command, ...packages], { cwd: archive })
  const files = (await readdir(archive)).filter((name) => name.endsWith('.deb'))
  return files.sort().map((name) => join(archive, name))
}

/** Moves the folders that newer releases have below `/usr` there, where they are not yet. */
async function mergeUsr(root: string): Promise<void> {
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    const old = join(root, name)
    const found = await lstat(old).catch(() => undefined)
    if (found?.isSymbolicLink() === true) continue
    await mkdir(join(root, 'usr', name), { recursive: true })
    if (found !== undefined) {
      await cp(old, join(root, 'usr', name), { recursive: true, verbatimSymlinks: true })
      await rm(old, { recursive: true })
    }
    await symlink(`usr/${name}`, old)
  }
}

/** Adds the files of packages to a folder, without those of the packages that they depend on. */
export async function addDebian(root: string, system: Debian, packages: readonly string[]): Promise<void> {
  for (const file of await download(system, packages, 'alone'))
    await demand('dpkg-deb', ['--extract', file, root])
}

/** Makes a folder that a process can have as its root: packages with what they depend on, but not configured. */
export async function unpackDebian(root: string, system: Debian, packages: readonly string[]): Promise<void> {
  const files = await download(system, packages, 'with dependencies')
  for (const file of files) await demand('dpkg-deb', ['--extract', file, root])
  await mergeUsr(root)
  for (const name of ['dev', 'proc', 'tmp', 'root', 'etc']) await mkdir(join(root, name), { recursive: true })
  const users = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n'
  await writeFile(join(root, 'etc/passwd'), users)
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n')
  await writeFile(join(root, 'etc/hosts'), '127.0.0.1 localhost\n::1 localhost\n')
}
