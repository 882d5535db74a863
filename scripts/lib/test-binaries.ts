import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { parseCargoTest } from './cargo-test.js'
import type { CombinationReport } from './conformance.js'
import type { Combination } from './matrix.js'
import type { TestResult } from './results.js'
import { demand, root, run } from './run.js'

/** A test binary that cargo built. */
export interface TestBinary {
  readonly path: string
  /** Where cargo would run it. */
  readonly cwd: string
}

interface CargoMessage {
  readonly reason: string
  readonly manifest_path?: string
  readonly executable?: string | null
  readonly profile?: { readonly test: boolean }
}

/** Builds the workspace's tests once, and returns their binaries. */
export async function buildTests(): Promise<TestBinary[]> {
  const format = '--message-format=json-render-diagnostics'
  const output = await demand('cargo', ['test', '--no-run', format])
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as CargoMessage)
    .filter(({ reason, profile }) => reason === 'compiler-artifact' && profile?.test === true)
    .flatMap(({ executable, manifest_path: manifest = join(root, 'Cargo.toml') }) =>
      executable ? [{ path: executable, cwd: dirname(manifest) }] : [],
    )
}

/** Those of the binaries that have tests of that name. */
export async function withTests(binaries: readonly TestBinary[], filter: string): Promise<TestBinary[]> {
  const listed = await Promise.all(
    binaries.map(async (binary) => {
      const list = await demand(binary.path, ['--list', filter], { cwd: binary.cwd })
      return list.includes(': test') ? [binary] : []
    }),
  )
  return listed.flat()
}

/** Runs the tests of that name, or all of them for an empty one, in one combination of backend and mode. */
export async function runIn(
  combination: Combination,
  binaries: readonly TestBinary[],
  filter: string,
): Promise<CombinationReport> {
  const folder = await mkdtemp(join(tmpdir(), 'event-base-matrix-'))
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
      // With one thread the harness runs tests on its own, which does not bear their names.
      const args = [...(filter === '' ? [] : [filter]), '--test-threads=2']
      const { code, output, stdout } = await run(path, args, { cwd, env, quiet: true })
      const report = parseCargoTest(output, stdout)
      results.push(...report.results)
      if (code !== 0 && report.totals.failed === 0) {
        const message = output.trimEnd().split('\n').slice(-8).join('\n')
        results.push({ name: `${path} ended with ${code}`, outcome: 'failed', message })
      }
    }
    return { combination, results, notApplicable: parseReport(await readFile(file, 'utf8').catch(() => '')) }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Reads what tests said that mean nothing in a combination. */
export function parseReport(text: string): Map<string, string> {
  return new Map([...text.matchAll(/^n\/a\t(.+?)\t(.+)$/gm)].map(([, name = '', why = '']) => [name, why]))
}
