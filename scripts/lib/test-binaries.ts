// Builds the Rust tests once and runs them for a backend and a mode.
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { parseCargoTest } from './cargo-test.js'
import type { CombinationReport } from './conformance.js'
import { removeFolder, temporaryFolder } from './exit.js'
import type { Combination } from './matrix.js'
import type { TestResult } from './results.js'
import { demand, lastLines, run, type RunOptions } from './run.js'

/** A test binary that cargo built. */
export interface TestBinary {
  readonly path: string
  /** The folder in which cargo runs it. */
  readonly cwd: string
}

/** A message of cargo about something that it built. */
export interface Artifact {
  readonly reason: 'compiler-artifact'
  readonly manifest_path: string
  readonly target: { readonly name: string; readonly kind: readonly string[] }
  readonly profile: { readonly test: boolean }
  readonly filenames: readonly string[]
  readonly executable: string | null
}

/** Builds the tests that the arguments of `cargo test` select, by default all. Returns what was built for them. */
export async function buildArtifacts(
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<Artifact[]> {
  const format = '--message-format=json-render-diagnostics'
  const output = await demand('cargo', ['test', '--no-run', format, ...args], options)
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Artifact | { readonly reason: 'another' })
    .filter((message) => message.reason === 'compiler-artifact')
}

/** The test binaries among artifacts. */
export function testBinaries(artifacts: readonly Artifact[]): TestBinary[] {
  return artifacts.flatMap(({ profile, executable, manifest_path: manifest }) =>
    profile.test && executable !== null ? [{ path: executable, cwd: dirname(manifest) }] : [],
  )
}

/** The name of a test binary, without the hash that cargo appends. */
export function nameOfBinary({ path }: TestBinary): string {
  return path.replace(/^.*[/\\]|-[0-9a-f]+(?:\.exe)?$/g, '')
}

/** The names of the tests of a binary, or of those that match a filter. */
export async function namesOfTests(
  { path, cwd }: TestBinary,
  filter = '',
  env: NodeJS.ProcessEnv = process.env,
): Promise<string[]> {
  const args = ['--list', '--format=terse', ...(filter === '' ? [] : [filter])]
  const list = await demand(path, args, { cwd, env })
  return [...list.matchAll(/^(.+): test$/gm)].map(([, name = '']) => name)
}

/** The binaries with tests that match the filter. */
export async function withTests(binaries: readonly TestBinary[], filter: string): Promise<TestBinary[]> {
  const listed = await Promise.all(
    binaries.map(async (binary) => ((await namesOfTests(binary, filter)).length > 0 ? [binary] : [])),
  )
  return listed.flat()
}

/** Runs the tests that match the filter, or all if it is empty, in one combination of backend and mode. */
export async function runIn(
  combination: Combination,
  binaries: readonly TestBinary[],
  filter: string,
): Promise<CombinationReport> {
  const folder = temporaryFolder('matrix')
  const file = join(folder, 'report')
  const env = {
    ...process.env,
    EVENT_BASE_TEST_BACKEND: combination.backend.name,
    EVENT_BASE_TEST_MODE: combination.mode.name,
    EVENT_BASE_TEST_REPORT: file,
  }
  try {
    const results: TestResult[] = []
    for (const { path, cwd } of binaries) {
      // With one thread the harness runs tests on its own thread, which does not have their names.
      const args = [...(filter === '' ? [] : [filter]), '--test-threads=2']
      const { code, output, stdout } = await run(path, args, { cwd, env, quiet: true })
      const report = parseCargoTest(output, stdout)
      results.push(...report.results)
      if (code !== 0 && report.totals.failed === 0) {
        results.push({ name: `${path} ended with ${code}`, outcome: 'failed', message: lastLines(output) })
      }
    }
    return { combination, results, notApplicable: parseReport(await readFile(file, 'utf8').catch(() => '')) }
  } finally {
    removeFolder(folder)
  }
}

/** Reads the report of tests that are not applicable in a combination: name → reason. */
export function parseReport(text: string): Map<string, string> {
  return new Map([...text.matchAll(/^n\/a\t(.+?)\t(.+)$/gm)].map(([, name = '', why = '']) => [name, why]))
}
