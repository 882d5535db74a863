import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { describe, expect, it, test } from 'vitest'

import { binaryProblem } from '../../scripts/lib/binaries.js'
import { folder } from '../net/support.js'

/** A file with some bytes. */
function file(bytes: Uint8Array): string {
  const path = join(folder(), 'addon.node')
  writeFileSync(path, bytes)
  return path
}

function machO(cpu: number): Buffer {
  const bytes = Buffer.alloc(32)
  bytes.writeUInt32LE(0xfeed_facf, 0)
  bytes.writeUInt32LE(cpu, 4)
  return bytes
}

describe('a Mach-O file', () => {
  it('is for the processor that its header names', () => {
    const path = file(machO(0x0100_000c))
    expect(binaryProblem(path, 'darwin-arm64')).toBeUndefined()
    expect(binaryProblem(path, 'darwin-x64')).toBe(`${path} is for arm64, not for darwin-x64`)
  })

  it('is not for a system that loads ELF files', () => {
    const path = file(machO(0x0100_0007))
    expect(binaryProblem(path, 'linux-x64-gnu')).toBe(`${path} is not an ELF file for linux-x64-gnu`)
  })
})

describe.runIf(process.platform === 'linux')('an ELF file', () => {
  const other = process.arch === 'x64' ? 'arm64' : 'x64'

  it('is for the processor that its header names', () => {
    expect(binaryProblem(process.execPath, `linux-${process.arch}-gnu`)).toBeUndefined()
    expect(binaryProblem(process.execPath, `freebsd-${other}`)).toMatch(
      ` is for ${process.arch}, not for freebsd-${other}`,
    )
  })

  it('is not for macOS', () => {
    expect(binaryProblem(process.execPath, `darwin-${process.arch}`)).toMatch(
      / is not a Mach-O file for darwin-/,
    )
  })

  it('must be complete', () => {
    const path = file(readFileSync(process.execPath).subarray(0, 10_000))
    expect(binaryProblem(path, `linux-${process.arch}-gnu`)).toMatch(/ has 10000 bytes of at least \d+$/)
  })
})

test('a file that is missing is an error', () => {
  expect(() => binaryProblem('/nonexistent.node', 'linux-x64-gnu')).toThrow('ENOENT')
})
