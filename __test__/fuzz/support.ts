/** Properties of what parses, the inputs that they are checked with, and the corpora. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import * as fc from 'fast-check'

import { EventError } from '../../ts/errors.js'

/** A property of a parser. `check` throws if it does not hold for an input. */
export interface Property {
  readonly name: string
  /** Checks the corpus, and then random inputs. */
  run(parameters: { seed: number; numRuns: number; interruptAfterTimeLimit?: number }): void
}

/** Makes a property. `examples` are checked before random inputs. */
export function property<T>(
  name: string,
  inputs: fc.Arbitrary<T>,
  examples: readonly T[],
  check: (input: T) => void,
): Property {
  return {
    name,
    run: (parameters) =>
      fc.assert(
        fc.property(inputs, (input) => {
          check(input)
        }),
        {
          ...parameters,
          examples: examples.map((one) => [one]),
          // The examples count as runs.
          numRuns: parameters.numRuns + examples.length,
        },
      ),
  }
}

/** The inputs of a folder of the corpus, each a file. */
export function corpus(folder: string): Buffer[] {
  const path = join(import.meta.dirname, 'corpus', folder)
  return readdirSync(path)
    .toSorted()
    .map((name) => readFileSync(join(path, name)))
}

/** The same as texts. */
export function texts(folder: string): string[] {
  return corpus(folder).map((bytes) => bytes.toString('utf8'))
}

/** Any text, with halves of surrogate pairs and zero characters. */
export const anyText: fc.Arbitrary<string> = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0x7f }), fc.integer({ min: 0, max: 0xffff })), { maxLength: 120 })
  .map((units) => String.fromCharCode(...units))

/** Texts of some words in any order. */
export function wordsOf(...words: readonly string[]): fc.Arbitrary<string> {
  return fc.array(fc.constantFrom(...words), { maxLength: 16 }).map((parts) => parts.join(''))
}

/** Changes of some inputs: parts are removed, repeated or replaced. */
export function changesOf(inputs: readonly Buffer[], more: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const change = fc.record({
    at: fc.nat(200),
    removed: fc.nat(4),
    added: fc.oneof(fc.constant(Buffer.alloc(0)), more),
  })
  return fc.tuple(fc.constantFrom(...inputs), fc.array(change, { maxLength: 4 })).map(([input, changes]) => {
    let bytes = input
    for (const { at, removed, added } of changes) {
      const from = at % (bytes.length + 1)
      bytes = Buffer.concat([bytes.subarray(0, from), added, bytes.subarray(from + removed)])
    }
    return bytes
  })
}

/** The same as texts. */
export function textChangesOf(inputs: readonly string[], more: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const bytes = inputs.map((text) => Buffer.from(text))
  return changesOf(
    bytes,
    more.map((text) => Buffer.from(text)),
  ).map((changed) => changed.toString('utf8'))
}

/** The result of a call, or the code of its error. Any other error is thrown. */
export function attempt<T>(call: () => T): { value: T } | { code: string } {
  try {
    return { value: call() }
  } catch (error) {
    if (error instanceof EventError && error.code.startsWith('ERR_')) return { code: error.code }
    throw error
  }
}
