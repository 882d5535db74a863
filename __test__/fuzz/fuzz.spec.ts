/**
 * Everything that parses, with the inputs of the corpus and with random ones. A failure is reported with the input, made as
 * short as possible; add it to the corpus with the fix.
 *
 * `npm run fuzz -- --seconds N` checks for a longer time.
 */

import { setImmediate } from 'node:timers/promises'

import { describe, expect, test } from 'vitest'

import { addresses } from './addresses.js'
import { bytes } from './bytes.js'
import { commandLine } from './command-line.js'
import { options } from './options.js'
import type { Property } from './support.js'

const seed = Number(process.env['EVENT_BASE_FUZZ_SEED'] ?? 1)
const seconds = Number(process.env['EVENT_BASE_FUZZ_SECONDS'] ?? 0)

/** The number of random inputs without a time. */
const RUNS = 300
/** Milliseconds of one part of a longer run. The test runner expects an answer in between. */
const SLICE = 2000

const groups: Readonly<Record<string, readonly Property[]>> = {
  addresses,
  'command lines': commandLine,
  options,
  'bytes of streams': bytes,
}
const count = Object.values(groups).flat().length

describe.each(Object.entries(groups))('%s', (_name, properties) => {
  test.each(properties)('$name', async ({ run }) => {
    expect.hasAssertions()
    run({ seed, numRuns: RUNS })
    expect(seconds).toBeGreaterThanOrEqual(0)
    const end = performance.now() + (1000 * seconds) / count
    for (let part = 1; performance.now() < end; part += 1) {
      const interruptAfterTimeLimit = Math.min(SLICE, Math.ceil(end - performance.now()))
      run({ seed: (seed + part * 7919) | 0, numRuns: 1e9, interruptAfterTimeLimit })
      await setImmediate()
    }
  })
})
