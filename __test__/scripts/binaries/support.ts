/** The small addons in `__test__/fixtures/binaries`. */

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

import { expect } from 'vitest'

/** A copy of an addon, which the caller may change. */
export function fixture(name: string): Buffer {
  return gunzipSync(readFileSync(new URL(`../../fixtures/binaries/${name}.gz`, import.meta.url)))
}

/** Replaces a text wherever the file contains it, with zeros behind a shorter one. */
export function replaceText(bytes: Buffer, text: string, by: string): Buffer {
  if (!bytes.includes(text) || by.length > text.length) throw new Error(`${text} cannot be replaced by ${by}`)
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + text.length)) {
    bytes.write(by.padEnd(text.length, '\0'), at, 'latin1')
  }
  return bytes
}

/**
 * Reads an addon cut to each length, in steps, and with each byte below a position changed. Returns how often the reader
 * has refused it, which it must do with a RangeError.
 */
export function refusals(
  reader: (bytes: Buffer) => unknown,
  whole: Buffer,
  step: number,
  changed: number,
): number {
  let refused = 0
  const read = (bytes: Buffer): void => {
    try {
      reader(bytes)
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError)
      refused += 1
    }
  }
  for (let length = 0; length < whole.length; length += step) read(Buffer.from(whole.subarray(0, length)))
  for (let at = 0; at < changed; at += 1) {
    for (const value of [0, 0x7f, 0xff]) {
      const bytes = Buffer.from(whole)
      bytes[at] = value
      read(bytes)
    }
  }
  return refused
}
