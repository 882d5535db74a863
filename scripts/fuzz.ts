// Random inputs for everything that parses: `npm run fuzz -- [--seconds N] [--seed S] [--rust | --ts]`.
//
// The Rust half is guided by coverage: libFuzzer, whose runtime a crate brings, with the flags that cargo-fuzz sets. The
// TypeScript half is a spec with fast-check. Both begin with the corpus. The time is divided by the number of properties.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { targetFolder, unstableOptions } from './lib/cargo.js'
import { conclude } from './lib/failures.js'
import { integer } from './lib/options.js'
import { reportOf, type Report, type TestResult } from './lib/results.js'
import { demand, lastLines, main, root, run } from './lib/run.js'
import { vitest } from './lib/vitest.js'

const corpus = join(root, '__test__/fuzz/corpus')
/** The binaries of `crates/fuzz`, each named after its folder of the corpus. */
const targets = ['host', 'path', 'header'] as const

/** The instrumentation for libFuzzer, and AddressSanitizer. */
const flags = [
  '--cfg fuzzing',
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
  '-Cdebug-assertions',
  '-Ccodegen-units=1',
  '-Zsanitizer=address',
]

async function fuzzRust(seconds: number, seed: number): Promise<Report> {
  const folder = targetFolder('fuzz')
  const target = /^host: (.+)$/m.exec(await demand('rustc', ['--version', '--verbose']))?.[1] ?? ''
  const env = {
    ...process.env,
    ...unstableOptions,
    CARGO_TARGET_DIR: folder,
    CARGO_PROFILE_RELEASE_LTO: 'off',
    RUSTFLAGS: flags.join(' '),
  }
  await demand('cargo', ['build', '--release', '--package=event-base-fuzz', `--target=${target}`], { env })
  const results: TestResult[] = []
  for (const name of targets) {
    const found = join(folder, 'corpus', name)
    await mkdir(found, { recursive: true })
    const { code, output } = await run(
      join(folder, target, 'release', name),
      [
        `-max_total_time=${Math.ceil(seconds / targets.length)}`,
        // 0 would be a random seed.
        `-seed=${seed + 1}`,
        `-artifact_prefix=${join(folder, `${name}-`)}`,
        '-print_final_stats=1',
        // New inputs go to the first folder.
        found,
        join(corpus, name),
      ],
      { quiet: true },
    )
    const runs = /stat::number_of_executed_units: (\d+)/.exec(output)?.[1] ?? '0'
    console.log(`${name}: ${runs} inputs`)
    const isGood = code === 0 && Number(runs) > 0
    if (!isGood) console.log(output)
    results.push(
      isGood ? { name, outcome: 'passed' } : { name, outcome: 'failed', message: lastLines(output) },
    )
  }
  return reportOf(results)
}

async function fuzzTypeScript(seconds: number, seed: number): Promise<Report> {
  process.env['EVENT_BASE_FUZZ_SECONDS'] = String(seconds)
  process.env['EVENT_BASE_FUZZ_SEED'] = String(seed)
  return await vitest(['--project=host', '--testTimeout=86400000', '__test__/fuzz/fuzz.spec.ts'])
}

await main(async () => {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      rust: { type: 'boolean', default: false },
      ts: { type: 'boolean', default: false },
    },
  })
  const seconds = integer('seconds', values.seconds, 1, 86_400)
  // fast-check takes signed seeds.
  const seed = integer('seed', values.seed, 0, 2 ** 31 - 1)
  const both = !values.rust && !values.ts
  const half = both ? seconds / 2 : seconds
  const reports: Report[] = []
  if (both || values.rust) reports.push(await fuzzRust(half, seed))
  if (both || values.ts) reports.push(await fuzzTypeScript(half, seed))
  return conclude(reports)
})
