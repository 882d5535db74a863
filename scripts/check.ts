// Every check but the tests, in one command. All run even after one failed.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { failureLines } from './lib/failures.js'
import { generatePlatformPackages, readManifest, readTexts } from './lib/platforms.js'
import { closingLine, isGreen, type TestResult } from './lib/results.js'
import { main, root, run, tool } from './lib/run.js'

/** Returns what is wrong; nothing where all is well. */
type Check = () => Promise<string | undefined>

/** The last lines of what a command printed. */
function tail(output: string): string {
  return output.trimEnd().split('\n').slice(-6).join('\n')
}

/** A check that a command's exit code decides. */
function command(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Check {
  return async () => {
    const { code, output } = await run(program, args, { env: { ...process.env, ...env } })
    return code === 0 ? undefined : `${program} ended with ${code}\n${tail(output)}`
  }
}

async function readOrEmpty(file: string): Promise<string> {
  return readFile(join(root, file), 'utf8').catch(() => '')
}

/** Builds the addon and compares the loader and the declarations with what stood there before. */
async function generatedBindingIsCurrent(): Promise<string | undefined> {
  const files = ['binding.js', 'binding.d.ts']
  const before = await Promise.all(files.map(readOrEmpty))
  const { code, output } = await run('npm', ['run', '--silent', 'build:native'])
  if (code !== 0) return `the addon does not build\n${tail(output)}`
  const after = await Promise.all(files.map(readOrEmpty))
  const stale = files.filter((_, index) => before[index] !== after[index])
  return stale.length === 0 ? undefined : `${stale.join(' and ')} changed with the build; commit the new text`
}

async function platformPackagesAreCurrent(): Promise<string | undefined> {
  const wanted = await generatePlatformPackages()
  const found = await readTexts(join(root, 'npm'))
  const paths = new Set([...wanted.keys(), ...found.keys()])
  const stale = [...paths].filter((path) => wanted.get(path) !== found.get(path))
  return stale.length === 0 ? undefined : `npm/${stale.join(', npm/')}: run npm run platform-packages`
}

/** The crates' version and the package's are one, since the loader compares it with the binary's package. */
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
    console.log('crates/conformance is left out: libevent-dev is not installed')
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
  ['clippy, peers', peersLint],
  ['cargo doc', command('cargo', ['doc', '--no-deps'], { RUSTDOCFLAGS: '-D warnings' })],
  ['oxfmt', command(tool('oxfmt'), ['--check'])],
  ['oxlint', command(tool('oxlint'), ['--deny-warnings'])],
  ['binding.js, binding.d.ts', generatedBindingIsCurrent],
  ['npm/', platformPackagesAreCurrent],
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
  console.log(['', ...lines, ...failureLines(results), closingLine(totals)].join('\n'))
  return isGreen(totals)
})
