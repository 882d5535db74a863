/** The reader of Mach-O libraries: `scripts/lib/binaries/mach-o.ts`. */

import { describe, expect, it, test } from 'vitest'

import { readMachOLibrary } from '../../../scripts/lib/binaries/mach-o.js'
import { fixture, refusals, replaceText } from './support.js'

const common = {
  format: 'Mach-O',
  isShared: true,
  id: '@rpath/event-base.node',
  libraries: ['/usr/lib/libSystem.B.dylib'],
  searched: [],
  minimum: { platform: 1, version: '11.0' },
}

describe('a library', () => {
  it('names its processor, its macOS, its libraries and its symbols', () => {
    for (const arch of ['arm64', 'x64']) {
      const library = readMachOLibrary(fixture(`darwin-${arch}`))
      expect(library).toMatchObject({ ...common, arch })
      expect(library?.imports).toContain('read')
      expect(library?.exports).toContain('napi_register_module_v1')
    }
  })

  it('has a signature whose hashes are those of its pages', () => {
    expect(readMachOLibrary(fixture('darwin-arm64'))?.signature).toEqual({
      problem: undefined,
      isAdHoc: true,
    })
    expect(readMachOLibrary(fixture('darwin-x64'))?.signature).toBeUndefined()
  })
})

function problemOf(bytes: Buffer): string | undefined {
  return readMachOLibrary(bytes)?.signature?.problem
}

/** The position of the code directory. */
function directory(bytes: Buffer): number {
  return bytes.indexOf('fade0c02', 'hex')
}

describe('a signature is wrong if', () => {
  it('a byte of the code was changed', () => {
    const bytes = replaceText(fixture('darwin-arm64'), '@rpath/event-base.node', '@rpath/other.node')
    expect(problemOf(bytes)).toBe('the hash of page 0 is not that of its contents')
  })

  it('the file was cut', () => {
    expect(problemOf(fixture('darwin-arm64').subarray(0, -1))).toBe('it ends behind the file')
  })

  it.each([
    [
      'its format is unknown',
      0,
      /has an unknown format/,
      (bytes: Buffer) => bytes.indexOf('fade0cc0', 'hex'),
    ],
    ['it has no code directory', 0, /has no code directory/, directory],
    ['its hashes are shorter', 36, /are not SHA-256/, directory],
    ['its hashes are of another kind', 37, /are not SHA-256/, directory],
    ['it covers less than the file', 32, /covers \d+ of \d+ bytes/, directory],
    ['it lacks hashes', 28, /has \d+ hashes of \d+/, directory],
  ])('%s', (_what, offset, expected, position) => {
    const bytes = fixture('darwin-arm64')
    const at = position(bytes) + offset
    bytes[at] = (bytes[at] ?? 0) ^ 1
    expect(problemOf(bytes)).toMatch(expected)
  })
})

test('another file is no Mach-O file', () => {
  expect(readMachOLibrary(fixture('linux-x64-gnu'))).toBeUndefined()
  expect(readMachOLibrary(Buffer.from('cffaedfe', 'hex'))).toBeUndefined()
  expect(readMachOLibrary(Buffer.alloc(0))).toBeUndefined()
})

test('a library that is cut, or has any byte of its headers changed, is read or refused with a RangeError', () => {
  const whole = fixture('darwin-x64')
  expect(refusals(readMachOLibrary, whole, 7, 2000)).toBeGreaterThan(500)
})
