// Checks that a binary is for its platform.
import { closeSync, openSync, readSync } from 'node:fs'

import { readElf } from '../../ts/addon/elf.js'

/** The processors of Mach-O files of 64 bits, by `cputype`. */
const CPU_TYPES: ReadonlyMap<number, string> = new Map([
  [0x0100_0007, 'x64'],
  [0x0100_000c, 'arm64'],
])

/** The processor of a Mach-O file of 64 bits; `undefined` for another file. */
function machOArch(file: string): string | undefined {
  const header = Buffer.alloc(8)
  const fd = openSync(file, 'r')
  try {
    readSync(fd, header, 0, header.length, 0)
  } finally {
    closeSync(fd)
  }
  return header.readUInt32LE(0) === 0xfeed_facf ? CPU_TYPES.get(header.readUInt32LE(4)) : undefined
}

/**
 * What is wrong with a binary, or `undefined`: its format, its processor, or its length.
 *
 * @param platform the name of a platform, such as `linux-x64-gnu`
 */
export function binaryProblem(file: string, platform: string): string | undefined {
  const [system, arch] = platform.split('-')
  const elf = readElf(file)
  if (system === 'darwin') {
    const found = machOArch(file)
    if (found === undefined) return `${file} is not a Mach-O file for ${platform}`
    return found === arch ? undefined : `${file} is for ${found}, not for ${platform}`
  }
  if (elf === undefined) return `${file} is not an ELF file for ${platform}`
  if (elf.size < elf.wanted) return `${file} has ${elf.size} bytes of at least ${elf.wanted}`
  return elf.arch === arch
    ? undefined
    : `${file} is for ${elf.arch ?? 'another processor'}, not for ${platform}`
}
