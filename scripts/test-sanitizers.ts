// Runs tests under AddressSanitizer and ThreadSanitizer: `npm run test:sanitizers -- address` or `-- thread` runs one.
//
// The runtimes come with rustup's compiler. Its standard library is not compiled for ThreadSanitizer; thread-sanitizer.txt
// suppresses the false reports that result.
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { targetFolder, unstableOptions } from './lib/cargo.js'
import { cargoTest, unmatchedNames } from './lib/cargo-test.js'
import { conclude } from './lib/failures.js'
import type { Report, TestResult } from './lib/results.js'
import { demand, main, root, run } from './lib/run.js'

interface Sanitizer {
  readonly name: string
  readonly runtime: string
  readonly flags: string
  readonly options: NodeJS.ProcessEnv
  readonly runs: readonly Run[]
}

interface Run {
  /** The arguments of `cargo test`. */
  readonly args: readonly string[]
  /** A part of the names of tests that do not run, and the reason. */
  readonly skip?: { readonly name: string; readonly reason: string }
}

const sanitizers: readonly Sanitizer[] = [
  {
    name: 'address',
    runtime: 'asan',
    flags: '-Zsanitizer=address',
    // Leaks are reported too.
    options: { ASAN_OPTIONS: 'detect_leaks=1:detect_stack_use_after_return=1' },
    // The network layer with the engine below it, the engine's unit tests, and signal handlers.
    runs: [
      { args: ['--package=event-base-net', '--tests'] },
      { args: ['--package=event-base', '--lib'] },
      { args: ['--package=event-base', '--test=signals'] },
    ],
  },
  {
    name: 'thread',
    runtime: 'tsan',
    // Links the standard library although it was compiled without the sanitizer.
    flags: '-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer',
    options: { TSAN_OPTIONS: `suppressions=${join(root, 'scripts', 'thread-sanitizer.txt')}:history_size=7` },
    // Threads that use a running loop, wake-ups, deletions that wait for callbacks; signal handlers on other threads.
    runs: [
      {
        args: [
          '--package=event-base',
          '--test=threads_against_a_running_loop',
          '--test=rules',
          '--',
          'the_counters_return_to_zero',
          'two_threads_that_run',
          'no_wake_up_is_lost',
          'waking::',
          'blocking_delete::',
          'base_without_locks::',
        ],
      },
      // The sanitizer delays a signal for the process while the harness's main thread sleeps, so only tests run in which a
      // thread sends a signal to itself.
      {
        args: ['--package=event-base', '--test=signals', '--', 'threads::', 'sharing::'],
        skip: { name: 'leak_no_descriptor', reason: 'the symbolizer opens descriptors' },
      },
    ],
  },
]

/** Throws if a tool is missing. */
async function checkTools(target: string, chosen: readonly Sanitizer[]): Promise<void> {
  const sysroot = (await demand('rustc', ['--print', 'sysroot'])).trim()
  for (const { name, runtime } of chosen) {
    const library = join(sysroot, 'lib/rustlib', target, 'lib', `librustc-stable_rt.${runtime}.a`)
    if (!existsSync(library)) {
      throw new Error(
        `The runtime of the ${name} sanitizer is missing (${library}); install rustup's stable compiler.`,
      )
    }
  }
  const symbolizer = await run('llvm-symbolizer', ['--version'], { quiet: true })
  if (symbolizer.code !== 0) throw new Error('llvm-symbolizer is missing: apt-get install llvm')
}

await main(async () => {
  const named = process.argv.slice(2)
  const chosen = sanitizers.filter(({ name }) => named.length === 0 || named.includes(name))
  if (chosen.length === 0 || named.some((name) => !sanitizers.some((known) => known.name === name))) {
    throw new Error(`unknown sanitizer; use ${sanitizers.map(({ name }) => name).join(' or ')}`)
  }
  const target = /^host: (.+)$/m.exec(await demand('rustc', ['--version', '--verbose']))?.[1] ?? ''
  await checkTools(target, chosen)
  const parts: Report[] = []
  for (const { name, flags, options, runs } of chosen) {
    console.log(`--- ${name}`)
    const env = {
      ...process.env,
      ...options,
      CARGO_TARGET_DIR: join(targetFolder('sanitizers'), name),
      RUSTFLAGS: flags,
      ...unstableOptions,
    }
    for (const { args, skip } of runs) {
      if (skip !== undefined) console.log(`Skipped: *${skip.name}*, because ${skip.reason}`)
      const skipped = skip === undefined ? [] : [`--skip=${skip.name}`]
      const { totals, results } = await cargoTest([`--target=${target}`, ...args, ...skipped], { env })
      // A run without a test, or a name without one, counts as a failure.
      const empty = totals.passed + totals.failed === 0
      const unmatched = empty ? [args.join(' ')] : unmatchedNames(args, results)
      const failures = (totals.failed > 0 ? [] : unmatched).map((missing): TestResult => {
        return { name: `no test ran for ${missing}`, outcome: 'failed' }
      })
      parts.push({
        totals: { ...totals, failed: totals.failed + failures.length },
        results: [...results, ...failures].map((result) => ({ ...result, name: `${name}: ${result.name}` })),
      })
    }
  }
  return conclude(parts)
})
