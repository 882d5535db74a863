/** The reader of ELF libraries: `scripts/lib/binaries/elf.ts`. */

import { readFileSync } from 'node:fs'

import { describe, expect, it, test } from 'vitest'

import { readElfLibrary } from '../../../scripts/lib/binaries/elf.js'
import { fixture, refusals } from './support.js'

/** What all fixtures contain. */
const common = { format: 'ELF', isShared: true, searched: [], imports: ['read'] }

describe('a library', () => {
  it('names its processor, its libraries, and the versions and symbols that it needs', () => {
    expect(readElfLibrary(fixture('linux-x64-gnu'))).toMatchObject({
      ...common,
      arch: 'x64',
      libraries: ['libc.so.6'],
      versions: [{ library: 'libc.so.6', name: 'GLIBC_2.2.5' }],
      exports: ['napi_register_module_v1'],
    })
    expect(readElfLibrary(fixture('linux-x64-gnu-2.34'))).toMatchObject({
      imports: ['read', 'pthread_join'],
      versions: [{ name: 'GLIBC_2.2.5' }, { name: 'GLIBC_2.34' }],
      exports: ['napi_register_module_v1', 'calls'],
    })
  })

  it('has no versions for musl, and those of FreeBSD', () => {
    expect(readElfLibrary(fixture('linux-arm64-musl'))).toMatchObject({
      ...common,
      arch: 'arm64',
      libraries: ['libc.so'],
      versions: [],
    })
    expect(readElfLibrary(fixture('freebsd-x64'))).toMatchObject({
      ...common,
      arch: 'x64',
      libraries: ['libc.so.7'],
      versions: [{ library: 'libc.so.7', name: 'FBSD_1.0' }],
    })
  })

  it('may have addresses of 32 bits, and numbers with the most significant byte first', () => {
    const expected = { ...common, libraries: ['libc.so.6'], exports: ['napi_register_module_v1'] }
    expect(readElfLibrary(fixture('linux-arm-gnueabihf'))).toMatchObject({
      ...expected,
      arch: 'arm',
      versions: [{ name: 'GLIBC_2.4' }],
    })
    expect(readElfLibrary(fixture('linux-s390x-gnu'))).toMatchObject({
      ...expected,
      arch: 's390x',
      versions: [{ name: 'GLIBC_2.2' }],
    })
  })
})

test.runIf(process.platform === 'linux')('a program with tens of thousands of symbols is read', () => {
  const node = readElfLibrary(readFileSync(process.execPath))
  expect(node?.arch).toBe(process.arch)
  expect(node?.libraries).toContain('libstdc++.so.6')
  expect(node?.exports.length).toBeGreaterThan(10_000)
  expect(node?.exports).toContain('napi_create_function')
  expect(node?.imports).toContain('epoll_ctl')
})

test('another file is no ELF file', () => {
  expect(readElfLibrary(fixture('darwin-arm64'))).toBeUndefined()
  expect(readElfLibrary(Buffer.from('#!/bin/sh\n'))).toBeUndefined()
  expect(readElfLibrary(Buffer.alloc(0))).toBeUndefined()
})

test('a weak symbol and a weak version may be missing', () => {
  const bytes = fixture('linux-x64-gnu-2.34')
  const before = readElfLibrary(bytes)
  expect(before?.imports).toContain('pthread_join')
  // The first two symbols behind the empty one are undefined; the high half of the byte behind the name is the binding.
  const table = bytes.indexOf(Buffer.from([0x12, 0, 0, 0])) - 4
  bytes[table + 4] = 0x22
  expect(readElfLibrary(bytes)?.imports).toHaveLength(1)
})

test('a library that is cut, or has any byte changed, is read or refused with a RangeError', () => {
  const whole = fixture('linux-x64-gnu')
  expect(refusals(readElfLibrary, whole, 1, whole.length)).toBeGreaterThan(500)
})
