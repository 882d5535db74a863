/** The reader of ELF libraries: `scripts/lib/binaries/elf.ts`. */

import { readFileSync } from 'node:fs'

import { describe, expect, it, test } from 'vitest'

import { readElfLibrary } from '../../../scripts/lib/binaries/elf.js'
import { readElfHeaders } from '../../../ts/addon/elf.js'
import { fixture, refusals } from './support.js'

/** The processor that the headers of a file name. */
function archOf(bytes: Buffer): string | undefined {
  const { buffer } = Uint8Array.from(bytes)
  const headers = readElfHeaders((at, length) => new DataView(buffer, at, length), bytes.length)
  return headers?.arch
}

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

  it.each([
    // Addresses of 32 bits.
    ['linux-arm-gnueabihf', 'arm', 'GLIBC_2.4', 0x0500_0400],
    // The most significant byte first.
    ['linux-s390x-gnu', 's390x', 'GLIBC_2.2', 0],
    // Version 2 of the calling convention, which has the least significant byte first.
    ['linux-ppc64-gnu', 'ppc64', 'GLIBC_2.17', 2],
    ['linux-riscv64-gnu', 'riscv64', 'GLIBC_2.27', 5],
    ['linux-loong64-gnu', 'loong64', 'GLIBC_2.36', 0x43],
  ])('%s is read as one for %s', (name, arch, version, flags) => {
    expect(readElfLibrary(fixture(name))).toMatchObject({
      ...common,
      arch,
      flags,
      libraries: ['libc.so.6'],
      versions: [{ library: 'libc.so.6', name: version }],
      exports: ['napi_register_module_v1'],
    })
  })

  it('is for the processor of its number, its size of addresses and its byte order', () => {
    // EI_CLASS: 1 for 32 bits. RISC-V, x86 and z/Architecture have the same numbers there.
    for (const name of ['linux-riscv64-gnu', 'linux-x64-gnu', 'linux-s390x-gnu']) {
      const bytes = fixture(name)
      bytes[4] = 1
      expect(archOf(bytes), name).toBeUndefined()
    }
    const bytes = fixture('linux-ppc64-gnu')
    expect(archOf(bytes)).toBe('ppc64')
    // EI_DATA: 2 for the most significant byte first.
    bytes[5] = 2
    bytes.set([0, 21], 18)
    expect(archOf(bytes)).toBe('ppc64be')
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
