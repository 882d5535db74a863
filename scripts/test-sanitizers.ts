// Tests under AddressSanitizer and ThreadSanitizer: `npm run test:sanitizers -- address` or `-- thread` runs one.
//
// The runtimes come with rustup's compiler. Its standard library was not compiled for ThreadSanitizer, whose false
// reports about that are left out by name: see thread-sanitizer.txt.
import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { cargoTest } from './lib/cargo-test.js'
import { failureLines } from './lib/failures.js'
import { closingLine, isGreen, sum, type Report } from './lib/results.js'
import { demand, main, root, run } from './lib/run.js'

interface Sanitizer {
  readonly name: string
  readonly runtime: string
  readonly flags: string
  readonly options: NodeJS.ProcessEnv
  /** What `cargo test` is told, once for each run. */
  readonly runs: readonly (readonly string[])[]
}

const sanitizers: readonly Sanitizer[] = [
  {
    name: 'address',
    runtime: 'asan',
    flags: '-Zsanitizer=address',
    // What is never freed is reported, too.
    options: { ASAN_OPTIONS: 'detect_leaks=1:detect_stack_use_after_return=1' },
    // The network layer with the engine below it, and handlers that interrupt whatever runs.
    runs: [
      ['--package=event-base-net', '--tests'],
      ['--package=event-base', '--test=signals'],
    ],
  },
  {
    name: 'thread',
    runtime: 'tsan',
    // The standard library was compiled without it, and is linked all the same.
    flags: '-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer',
    options: { TSAN_OPTIONS: `suppressions=${join(root, 'scripts', 'thread-sanitizer.txt')}:history_size=7` },
    // Threads against a running loop, wake-ups, deletes that wait for callbacks; handlers on other threads.
    runs: [
      [
        '--package=event-base',
        '--test=threads_against_a_running_loop',
        '--test=rules',
        '--',
        'the_counters_come_back',
        'two_threads_that_run',
        'no_wake_up_is_lost',
        'waking::',
        'blocking_delete::',
        'base_without_locks::',
      ],
      // A signal for the whole process may wait in the harness's main thread, whose sleep the sanitizer cannot see, so
      // only those run that a thread sends to itself. Descriptors are not counted: the symbolizer takes some.
      [
        '--package=event-base',
        '--test=signals',
        '--',
        'threads::',
        'sharing::',
        '--skip=no_descriptor_stays_open',
      ],
    ],
  },
]

/** Refuses where something is missing, and says what. */
async function checkTools(target: string, chosen: readonly Sanitizer[]): Promise<void> {
  const sysroot = (await demand('rustc', ['--print', 'sysroot'])).trim()
  for (const { name, runtime } of chosen) {
    const library = join(sysroot, 'lib/rustlib', target, 'lib', `librustc-stable_rt.${runtime}.a`)
    if (!existsSync(library)) {
      throw new Error(
        `The runtime of the ${name} sanitizer is missing (${library}); use rustup's stable compiler.`,
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
    throw new Error(`unknown sanitizer; there are ${sanitizers.map(({ name }) => name).join(' and ')}`)
  }
  const target = /^host: (.+)$/m.exec(await demand('rustc', ['--version', '--verbose']))?.[1] ?? ''
  await checkTools(target, chosen)
  const parts: Report[] = []
  for (const { name, flags, options, runs } of chosen) {
    console.log(`--- ${name}`)
    const output = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'sanitizers', name)
    const env = {
      ...process.env,
      ...options,
      CARGO_TARGET_DIR: output,
      RUSTFLAGS: flags,
      // -Z needs a nightly compiler, or one that is told to be as good.
      RUSTC_BOOTSTRAP: '1',
    }
    for (const args of runs) {
      const { totals, results } = await cargoTest([`--target=${target}`, ...args], { env })
      // A run in which nothing ran has found nothing.
      const empty = totals.passed + totals.failed === 0
      if (empty) console.log(`No test ran: ${args.join(' ')}`)
      parts.push({
        totals: empty ? { ...totals, failed: 1 } : totals,
        results: results.map((result) => ({ ...result, name: `${name}: ${result.name}` })),
      })
    }
  }
  const total = sum(parts.map(({ totals }) => totals))
  const lines = failureLines(parts.flatMap(({ results }) => results))
  console.log([...lines, closingLine(total)].join('\n'))
  return isGreen(total)
})
