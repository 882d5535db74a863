/** What a binary must be to be published: `scripts/lib/binaries/check.ts`. Each check is shown to fail. */

import { describe, expect, it, test } from 'vitest'

import { binaryProblems, SIZE_LIMIT } from '../../../scripts/lib/binaries/check.js'
import { readElfLibrary } from '../../../scripts/lib/binaries/elf.js'
import { fixture, replaceText } from './support.js'

const good = [
  'linux-x64-gnu',
  'linux-arm64-musl',
  'linux-riscv64-gnu',
  'linux-ppc64-gnu',
  'linux-s390x-gnu',
  'linux-arm-gnueabihf',
  'linux-loong64-gnu',
  'freebsd-x64',
  'darwin-arm64',
  'darwin-x64',
]

it.each(good)('%s passes', (platform) => {
  expect(binaryProblems(fixture(platform), platform)).toEqual([])
})

test('a binary passes for no platform but its own', () => {
  for (const name of good) {
    for (const platform of [...good, 'linux-arm64-gnu', 'linux-x64-musl'].filter((other) => other !== name)) {
      expect(binaryProblems(fixture(name), platform), `${name} as ${platform}`).not.toEqual([])
    }
  }
  expect(binaryProblems(fixture('linux-x64-gnu'), 'darwin-arm64')).toEqual([
    'its format is ELF, not that of darwin-arm64',
  ])
  expect(binaryProblems(fixture('darwin-x64'), 'darwin-arm64')).toEqual([
    'it is for x64, not for darwin-arm64',
  ])
})

/** The problems of a fixture after a change. */
function problemsOf(name: string, change: Change): string[] {
  const bytes = fixture(name)
  return binaryProblems(change(bytes) ?? bytes, name)
}

type Change = (bytes: Buffer) => Buffer | void

function elf(change: Change): string[] {
  return problemsOf('linux-x64-gnu', change)
}

/** The file for this processor needs no signature, so a change results in no second problem. */
function macho(change: Change): string[] {
  return problemsOf('darwin-x64', change)
}

/** The position of the load command of a kind. */
function command(bytes: Buffer, kind: number): number {
  let at = 32
  while (bytes.readUInt32LE(at) !== kind) at += bytes.readUInt32LE(at + 4)
  return at
}

function unsigned(bytes: Buffer): void {
  bytes.writeUInt32LE(0x99, command(bytes, 0x1d))
}

function renamed(bytes: Buffer): Buffer {
  return replaceText(bytes, '@rpath/event-base.node', '@rpath/event-base.so')
}

describe('an ELF file is refused if it', () => {
  it('was cut', () => {
    expect(elf((bytes) => bytes.subarray(0, 200))).toEqual([expect.stringContaining('it is damaged: ')])
    // The end of the segments, with nothing behind it: the tables of symbols are before it.
    const loaded = readElfLibrary(fixture('linux-x64-gnu'))?.wanted ?? 0
    expect(elf((bytes) => bytes.subarray(0, loaded))).toEqual([])
    expect(elf((bytes) => bytes.subarray(0, loaded - 1))).toEqual([
      `it has ${loaded - 1} bytes of at least ${loaded}`,
    ])
  })

  it('is larger than the limit', () => {
    const found = elf((bytes) => Buffer.concat([bytes, Buffer.alloc(SIZE_LIMIT)]))
    expect(found).toEqual([expect.stringMatching(/^it has \d+ bytes, of at most \d+$/)])
  })

  it('is a program', () => {
    expect(elf((bytes) => void bytes.writeUInt16LE(2, 16))).toContain('it is not a shared library')
  })

  it('is for another processor, or for one that is not known', () => {
    expect(elf((bytes) => void bytes.writeUInt16LE(183, 18))).toEqual([
      'it is for arm64, not for linux-x64-gnu',
    ])
    expect(elf((bytes) => void bytes.writeUInt16LE(9999, 18))).toEqual([
      'it is for another processor, not for linux-x64-gnu',
    ])
  })

  it('is for another system', () => {
    expect(elf((bytes) => void bytes.writeUInt8(9, 7))).toEqual(['it is for another system: EI_OSABI is 9'])
  })

  it('does not register itself', () => {
    expect(elf((bytes) => replaceText(bytes, 'napi_register_module_v1', 'napi_register_module_v0'))).toEqual([
      'it does not export napi_register_module_v1',
    ])
  })

  it('needs a library that a system may lack', () => {
    expect(elf((bytes) => replaceText(bytes, 'libc.so.6', 'libz.so.1'))).toEqual([
      'it does not name the C library of its platform',
      'it needs libraries that are not on every system: libz.so.1',
    ])
  })

  it('needs a newer glibc', () => {
    expect(binaryProblems(fixture('linux-x64-gnu-2.34'), 'linux-x64-gnu')).toEqual([
      'it needs versions of symbols newer than GLIBC_2.17, GCC_4.8.0: GLIBC_2.34 of libc.so.6',
    ])
  })

  it('needs a newer glibc than the first one of its processor', () => {
    expect(
      problemsOf('linux-riscv64-gnu', (bytes) => replaceText(bytes, 'GLIBC_2.27', 'GLIBC_2.28')),
    ).toEqual(['it needs versions of symbols newer than GLIBC_2.27, GCC_4.8.0: GLIBC_2.28 of libc.so.6'])
  })

  it('is for 32-bit ARM without registers for floating-point numbers', () => {
    expect(problemsOf('linux-arm-gnueabihf', (bytes) => void bytes.writeUInt32LE(0x0500_0200, 36))).toEqual([
      'it does not use the hard-float convention',
    ])
  })

  it('needs a version that is no number', () => {
    expect(elf((bytes) => replaceText(bytes, 'GLIBC_2.2.5', 'GLIBC_PRIV'))).toEqual([
      expect.stringContaining(': GLIBC_PRIV of libc.so.6'),
    ])
  })

  it('needs a newer FreeBSD', () => {
    expect(problemsOf('freebsd-x64', (bytes) => replaceText(bytes, 'FBSD_1.0', 'FBSD_1.7'))).toEqual([
      expect.stringContaining(': FBSD_1.7 of libc.so.7'),
    ])
  })

  it('needs a function that musl lacks', () => {
    expect(problemsOf('linux-arm64-musl', (bytes) => replaceText(bytes, '\0read\0', '\0rea_\0'))).toEqual([
      'it needs symbols that are not in scripts/lib/binaries/symbols.ts: rea_',
    ])
  })

  it.each(['/home/runner/work/', '/root/.cargo/', '/Users/me/project/', '/x/registry/src/index/'])(
    'contains the path %s',
    (path) => {
      expect(elf((bytes) => Buffer.concat([bytes, Buffer.from(`${path}lib.rs`)]))).toEqual([
        expect.stringMatching(/^it has a path of the build: \/\S+lib\.rs$/),
      ])
    },
  )
})

describe('a Mach-O file is refused if it', () => {
  it('was cut', () => {
    expect(macho((bytes) => bytes.subarray(0, 1000))).toEqual([expect.stringContaining('it is damaged: ')])
    expect(macho((bytes) => bytes.subarray(0, -1))).toContainEqual(
      expect.stringMatching(/^it has \d+ bytes of at least \d+$/),
    )
  })

  it('is no library', () => {
    expect(macho((bytes) => void bytes.writeUInt32LE(2, 12))).toEqual(['it is not a shared library'])
  })

  it('does not register itself', () => {
    const found = macho((bytes) => replaceText(bytes, 'napi_register_module_v1', 'napi_register_module_v0'))
    expect(found).toEqual(['it does not export napi_register_module_v1'])
  })

  it('names a path of the build, or needs a library by such a path', () => {
    expect(macho((bytes) => replaceText(bytes, '@rpath/event-base.node', '/target/x.dylib'))).toContain(
      'its id is a path: /target/x.dylib',
    )
    expect(macho((bytes) => replaceText(bytes, '/usr/lib/libSystem.B.dylib', '/opt/lib/libz.dylib'))).toEqual(
      ['it needs libraries other than libSystem: /opt/lib/libz.dylib'],
    )
  })

  it('is for a newer macOS, or for another system', () => {
    const build = 0x32
    expect(macho((bytes) => void bytes.writeUInt32LE(14 * 65_536, command(bytes, build) + 12))).toEqual([
      'it is for macOS 14.0 and newer, not 11.0',
    ])
    expect(macho((bytes) => void bytes.writeUInt32LE(2, command(bytes, build) + 8))).toEqual([
      'it is not for macOS',
    ])
    expect(macho((bytes) => void bytes.writeUInt32LE(0x99, command(bytes, build)))).toEqual([
      'it is not for macOS',
    ])
  })

  it('needs a function that macOS lacks', () => {
    expect(macho((bytes) => replaceText(bytes, '\0_read\0', '\0_rea_\0'))).toEqual([
      'it needs symbols that are not in scripts/lib/binaries/symbols.ts: rea_',
    ])
  })

  it('is for arm64 and not signed, or signed before it was changed', () => {
    expect(problemsOf('darwin-arm64', unsigned)).toEqual(['it is not signed'])
    expect(problemsOf('darwin-arm64', renamed)).toEqual([
      'its signature is wrong: the hash of page 0 is not that of its contents',
    ])
  })
})

test('a text is no binary', () => {
  expect(binaryProblems(Buffer.from('#!/bin/sh\n'), 'linux-x64-gnu')).toEqual([
    'it is neither an ELF file nor a Mach-O file',
  ])
})
