// The tests of the engine on the backend `kqueue` over libkqueue, each in a process of its own: a fault of the library
// can abort the process or make a wait endless.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { parseCargoTest } from '../lib/cargo-test.js'
import { targetFolder } from '../lib/cargo.js'
import { removeFolder, temporaryFolder } from '../lib/exit.js'
import { lastLines, run } from '../lib/run.js'
import {
  buildArtifacts,
  nameOfBinary,
  namesOfTests,
  parseReport,
  testBinaries,
  type TestBinary,
} from '../lib/test-binaries.js'
import type { Library } from './library.js'

/** A test of the engine. */
export interface Test {
  /** The name of its binary and its path there: `rules::hosts::a_busy_host_loses_no_wake_up`. */
  readonly name: string
  readonly path: string
  readonly binary: TestBinary
}

export interface Outcome {
  readonly word: 'passed' | 'not applicable' | 'failed'
  /** The message of a failure, or why the test is not applicable. */
  readonly why?: string
}

/**
 * The test binaries. Not `signals`: its tests raise signals in the thread that watches them and count them, but libkqueue
 * blocks watched signals and reads them with signalfd(2), which merges equal ones and reports only those of its own thread.
 * Not `sandboxed`, which is about system calls of Linux, nor `models`, which is empty without loom.
 */
const TARGETS = [
  '--lib',
  ...[
    'conformance',
    'rules',
    'forked',
    'logging',
    'model',
    'no_allocation',
    'resources',
    'threads_against_a_running_loop',
  ].map((name) => `--test=${name}`),
]

/** Builds the tests and returns them. */
export async function buildTests(library: Library): Promise<Test[]> {
  const env = {
    ...process.env,
    CARGO_TARGET_DIR: targetFolder('kqueue'),
    RUSTFLAGS: `-L native=${library.libraries}`,
  }
  const args = ['--package=event-base', '--features=libkqueue,test-util', ...TARGETS]
  const binaries = testBinaries(await buildArtifacts(args, { env }))
  const tests = await Promise.all(
    binaries.map(async (binary) => {
      const name = nameOfBinary(binary).replace('event_base', 'lib')
      const paths = await namesOfTests(binary, '', environment(library))
      return paths.map((path) => ({ name: `${name}::${path}`, path, binary }))
    }),
  )
  return tests.flat()
}

function environment({ libraries }: Library): NodeJS.ProcessEnv {
  return {
    ...process.env,
    LD_LIBRARY_PATH: libraries,
    EVENT_NOEPOLL: '1',
    EVENT_BASE_TEST_BACKEND: 'kqueue',
  }
}

/** Runs a test. One that takes longer than `seconds` has failed. */
export async function runTest({ path, binary }: Test, library: Library, seconds: number): Promise<Outcome> {
  const folder = temporaryFolder('kqueue')
  const file = join(folder, 'report')
  try {
    const env = { ...environment(library), EVENT_BASE_TEST_REPORT: file }
    // With one thread the harness runs the test on its own thread, which does not have the name of the test.
    const args = [binary.path, '--exact', path, '--test-threads=2']
    // timeout(1) kills the processes that the test has forked as well.
    const limited = ['--signal=KILL', String(seconds), ...args]
    const { code, output, stdout } = await run('timeout', limited, { cwd: binary.cwd, env, quiet: true })
    const { totals, results } = parseCargoTest(output, stdout)
    if (code === 0 && totals.passed === 1) {
      const [reason] = parseReport(await readFile(file, 'utf8').catch(() => '')).values()
      return reason === undefined ? { word: 'passed' } : { word: 'not applicable', why: reason }
    }
    const message = results.find(({ outcome }) => outcome === 'failed')?.message
    const why = message ?? `ended with ${code}, or took longer than ${seconds} s\n${lastLines(output)}`
    return { word: 'failed', why }
  } finally {
    removeFolder(folder)
  }
}
