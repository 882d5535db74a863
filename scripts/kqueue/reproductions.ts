// The programs that show the faults of libkqueue without the engine: a file `NAME.c` for each.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { removeFolder, temporaryFolder } from '../lib/exit.js'
import type { TestResult } from '../lib/results.js'
import { demand, lastLines, run, type Outcome } from '../lib/run.js'
import type { Fault } from './faults.js'
import type { Library } from './library.js'

const FOLDER = import.meta.dirname

/** Longer than any of the programs waits. */
const SECONDS = 60

/** How often a program runs that does not show its fault: some faults are races. */
const ATTEMPTS = 8

const MEANING = new Map([
  [1, 'libkqueue does not have this fault any more: remove it from faults.ts'],
  [2, 'the program could not set up what it needs'],
])

/** Compiles and runs the programs. Each passes if it shows its fault. */
export async function runReproductions(faults: readonly Fault[], library: Library): Promise<TestResult[]> {
  const folder = temporaryFolder('kqueue')
  try {
    const results: TestResult[] = []
    for (const { name } of faults) {
      const program = join(folder, name)
      const paths = [`-I${library.headers}`, `-L${library.libraries}`]
      const strict = ['-Wall', '-Wextra', '-Werror', '-std=gnu11']
      await demand('cc', [
        ...strict,
        ...paths,
        join(FOLDER, `${name}.c`),
        '-o',
        program,
        '-lkqueue',
        '-pthread',
      ])
      const env = { ...process.env, LD_LIBRARY_PATH: library.libraries }
      const limited = ['--signal=KILL', String(SECONDS), program]
      const attempt = (): Promise<Outcome> => run('timeout', limited, { env, quiet: true })
      let last = await attempt()
      for (let count = 1; last.code === 1 && count < ATTEMPTS; count += 1) last = await attempt()
      const { code, output } = last
      const message = `${MEANING.get(code) ?? `the program ended with ${code}`}\n${lastLines(output)}`
      const outcome = code === 0 ? 'passed' : 'failed'
      results.push({ name: `the reproduction ${name}.c`, outcome, ...(code === 0 ? {} : { message }) })
    }
    const listed = new Set(faults.map(({ name }) => `${name}.c`))
    for (const file of await readdir(FOLDER)) {
      if (file.endsWith('.c') && !listed.has(file))
        results.push({ name: `${file} belongs to no fault in faults.ts`, outcome: 'failed' })
    }
    return results
  } finally {
    removeFolder(folder)
  }
}
