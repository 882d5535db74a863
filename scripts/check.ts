// Runs every check that is not a test. A failed check does not stop the others.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { conclude } from './lib/failures.js'
import { generateFiles, readGeneratedFiles, readManifest } from './lib/platforms.js'
import type { TestResult } from './lib/results.js'
import { lastLines, main, root, run, tool } from './lib/run.js'

/** Returns the problem, or `undefined` if the check passes. */
type Check = () => Promise<string | undefined>

/** A check that passes if the command exits with code 0. */
function command(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Check {
  return async () => {
    const { code, output } = await run(program, args, { env: { ...process.env, ...env } })
    return code === 0 ? undefined : `${program} ended with ${code}\n${lastLines(output)}`
  }
}

async function readOrEmpty(file: string): Promise<string> {
  return readFile(join(root, file), 'utf8').catch(() => '')
}

/** Builds the addon and checks that its declarations do not change. */
async function declarationsAreCurrent(): Promise<string | undefined> {
  const before = await readOrEmpty('binding.d.ts')
  const { code, output } = await run('npm', ['run', '--silent', 'build:native'])
  if (code !== 0) return `the addon does not build\n${lastLines(output)}`
  const after = await readOrEmpty('binding.d.ts')
  return before === after ? undefined : 'binding.d.ts changed with the build; commit the new text'
}

async function platformFilesAreCurrent(): Promise<string | undefined> {
  const wanted = await generateFiles()
  const found = await readGeneratedFiles()
  const paths = new Set([...wanted.keys(), ...found.keys()])
  const stale = [...paths].filter((path) => wanted.get(path) !== found.get(path))
  return stale.length === 0 ? undefined : `${stale.join(', ')}: run npm run platform-packages`
}

/** The crates and the package have one version, which the loader compares with that of the addon. */
async function versionsAgree(): Promise<string | undefined> {
  const { version } = await readManifest()
  const cargo = await readFile(join(root, 'Cargo.toml'), 'utf8')
  const workspace = /^\[workspace\.package\]\n(?:(?!\[).*\n)*?version = "([^"]+)"/m.exec(cargo)?.[1]
  return workspace === version ? undefined : `package.json has ${version}, Cargo.toml ${workspace}`
}

async function lockFileNamesNoHost(): Promise<string | undefined> {
  const lock = await readFile(join(root, 'package-lock.json'), 'utf8')
  return lock.includes('"resolved": "http') ? 'package-lock.json names a registry; see .npmrc' : undefined
}

async function peersLint(): Promise<string | undefined> {
  const found = await run('pkg-config', ['--exists', 'libevent'], { quiet: true })
  if (found.code !== 0) {
    console.log('crates/conformance is skipped: libevent-dev is not installed')
    return undefined
  }
  return command('cargo', [
    'clippy',
    '--manifest-path=crates/conformance/Cargo.toml',
    '--all-targets',
    ...deny,
  ])()
}

const deny = ['--', '-D', 'warnings']

const checks: readonly (readonly [string, Check])[] = [
  ['one version', versionsAgree],
  ['package-lock.json', lockFileNamesNoHost],
  ['Cargo.lock', command('cargo', ['tree', '--locked', '--depth=0'])],
  ['rustfmt', command('cargo', ['fmt', '--all', '--check'])],
  ['clippy', command('cargo', ['clippy', '--all-targets', ...deny])],
  ['clippy, faults', command('cargo', ['clippy', '--package=event-base-faults', ...deny])],
  ['clippy, peers', peersLint],
  ['cargo doc', command('cargo', ['doc', '--no-deps'], { RUSTDOCFLAGS: '-D warnings' })],
  ['oxfmt', command(tool('oxfmt'), ['--check'])],
  ['oxlint', command(tool('oxlint'), ['--deny-warnings'])],
  ['binding.d.ts', declarationsAreCurrent],
  ['platform packages', platformFilesAreCurrent],
  ['tsc, build', command('npm', ['run', '--silent', 'build:ts'])],
  ['tsc, tests and tools', command(tool('tsc'), ['-p', 'tsconfig.test.json'])],
  ['package', command('npm', ['run', '--silent', 'check:package'])],
]

await main(async () => {
  const totals = { passed: 0, failed: 0, skipped: 0 }
  const lines: string[] = []
  const results: TestResult[] = []
  for (const [name, check] of checks) {
    console.log(`--- ${name}`)
    const start = performance.now()
    const problem = await check()
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    const outcome = problem === undefined ? 'passed' : 'failed'
    totals[outcome] += 1
    results.push({ name, outcome, ...(problem === undefined ? {} : { message: problem }) })
    lines.push(`${problem === undefined ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`)
  }
  console.log(['', ...lines].join('\n'))
  return conclude([{ totals, results }])
})
