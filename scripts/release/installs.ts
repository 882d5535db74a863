// The ways in which the published package is installed and used.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { cachedBun, cachedDeno, cachedPackage } from '../lib/cached-package.js'
import { demand } from '../lib/run.js'

/** The programs of an installer: what it adds to the PATH, how it installs, and what runs the installed package. */
export interface Installer {
  readonly name: string
  /** Program → command. */
  readonly programs?: () => Promise<Readonly<Record<string, string>>>
  /** File → text, in the folder of the user. */
  readonly files?: (registry: string) => Readonly<Record<string, string>>
  readonly install: readonly string[]
  readonly uses: readonly (readonly string[])[]
}

/** What an installation took. */
export interface Installed {
  readonly seconds: number
  /** The names of the platforms whose packages are there. */
  readonly platforms: readonly string[]
  readonly bytes: number
}

const byNode: Installer['uses'] = [
  ['node', 'smoke.mjs'],
  ['node', 'smoke.cjs'],
  ['npx', '--no-install', 'event-base', 'methods'],
]

async function pnpm(): Promise<Record<string, string>> {
  return { pnpm: `node ${join(await cachedPackage('pnpm', '10.20.0'), 'bin', 'pnpm.cjs')}` }
}

async function yarn(): Promise<Record<string, string>> {
  return { yarn: `node ${join(await cachedPackage('@yarnpkg/cli-dist', '4.18.1'), 'bin', 'yarn.js')}` }
}

function yarnSettings(linker: string): NonNullable<Installer['files']> {
  return (registry) => ({
    '.yarnrc.yml': [
      `npmRegistryServer: ${JSON.stringify(registry)}`,
      'unsafeHttpWhitelist: ["127.0.0.1"]',
      'enableTelemetry: false',
      'enableGlobalCache: false',
      // A package that was published a moment ago is what is tested.
      'npmMinimalAgeGate: 0',
      `nodeLinker: ${linker}`,
      '',
    ].join('\n'),
    'yarn.lock': '',
  })
}

export const installers: readonly Installer[] = [
  { name: 'npm', install: ['npm', 'install', 'event-base'], uses: byNode },
  {
    name: 'pnpm',
    programs: pnpm,
    files: () => ({ 'pnpm-workspace.yaml': 'minimumReleaseAge: 0\n' }),
    install: ['pnpm', 'add', 'event-base'],
    uses: [...byNode.slice(0, 2), ['pnpm', 'exec', 'event-base', 'methods']],
  },
  {
    name: "yarn, Plug'n'Play",
    programs: yarn,
    files: yarnSettings('pnp'),
    install: ['yarn', 'add', 'event-base'],
    uses: [
      ['yarn', 'node', 'smoke.mjs'],
      ['yarn', 'node', 'smoke.cjs'],
      ['yarn', 'event-base', 'methods'],
    ],
  },
  {
    name: 'yarn, node_modules',
    programs: yarn,
    files: yarnSettings('node-modules'),
    install: ['yarn', 'add', 'event-base'],
    uses: [...byNode.slice(0, 2), ['yarn', 'event-base', 'methods']],
  },
  {
    name: 'bun',
    programs: async () => ({ bun: await cachedBun() }),
    files: (registry) => ({ 'bunfig.toml': `[install]\nregistry = ${JSON.stringify(registry)}\n` }),
    install: ['bun', 'add', 'event-base'],
    uses: [
      ...byNode.slice(0, 2),
      ['bun', 'smoke.mjs'],
      ['bun', 'smoke.cjs'],
      ['bun', 'run', 'event-base', 'methods'],
    ],
  },
  {
    name: 'deno',
    programs: async () => ({ deno: await cachedDeno() }),
    install: ['deno', 'add', '--minimum-dependency-age=0', 'npm:event-base'],
    uses: [['deno', 'run', '--allow-all', 'smoke.mjs']],
  },
]

/** Every package below a folder, by the folder that has its manifest. */
async function packagesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter(
      (entry) => entry.name === 'package.json' && /node_modules\/(?:@[^/]+\/)?[^/@]+$/.test(entry.parentPath),
    )
    .map((entry) => entry.parentPath)
}

/** Installs the package in the folder of a user. */
export async function install(
  args: readonly string[],
  folder: string,
  env: NodeJS.ProcessEnv,
): Promise<Installed> {
  const from = performance.now()
  const [command = '', ...rest] = args
  await demand(command, rest, { cwd: folder, env })
  const seconds = (performance.now() - from) / 1000
  const all = await packagesBelow(folder)
  const names = [...new Set(all.map((path) => path.replace(/^.*node_modules\//, '')))]
  const size = await demand('du', ['--summarize', '--bytes', folder])
  return {
    seconds,
    platforms: names
      .filter((name) => name.startsWith('@event-base/'))
      .map((name) => name.slice('@event-base/'.length)),
    bytes: Number.parseInt(size, 10),
  }
}

/** Runs commands that use the installed package. Throws if one fails. */
export async function use(
  commands: Installer['uses'],
  folder: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  for (const [command = '', ...args] of commands) await demand(command, args, { cwd: folder, env })
}
