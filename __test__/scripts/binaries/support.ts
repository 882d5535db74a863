/** The small addons in `__test__/fixtures/binaries`. */

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

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
