/** What the headers of an ELF file contain: the processor, the dynamic loader, and how long the file has to be. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** The headers of an ELF file: `elf(5)`. */
export interface Elf {
  /** The processor, by its name in {@link PROCESSORS}; `undefined` for another one. */
  readonly arch: string | undefined
  /** The path of the dynamic loader; only programs have one. */
  readonly interpreter: string | undefined
  /** The size of the file in bytes. */
  readonly size: number
  /** The size that the headers require: a file that is shorter was cut. */
  readonly wanted: number
}

/** A processor, and how its ELF files store numbers. */
export interface Processor {
  /** The name, which is that of `process.arch` except for `ppc64be`. */
  readonly arch: string
  /** `e_machine` */
  readonly machine: number
  /** The bytes of an address: 4 or 8. */
  readonly word: 4 | 8
  /** Whether numbers are stored with the least significant byte first. */
  readonly little: boolean
}

/** The processors that Node runs on. One number may stand for several, such as 243 for RISC-V of 32 and of 64 bits. */
export const PROCESSORS: readonly Processor[] = [
  { arch: 'ia32', machine: 3, word: 4, little: true },
  { arch: 'ppc64', machine: 21, word: 8, little: true },
  { arch: 'ppc64be', machine: 21, word: 8, little: false },
  { arch: 's390x', machine: 22, word: 8, little: false },
  { arch: 'arm', machine: 40, word: 4, little: true },
  { arch: 'x64', machine: 62, word: 8, little: true },
  { arch: 'arm64', machine: 183, word: 8, little: true },
  { arch: 'riscv64', machine: 243, word: 8, little: true },
  { arch: 'loong64', machine: 258, word: 8, little: true },
]

/** The positions of the fields in files of 32 bits (`ELFCLASS32`) and of 64 (`ELFCLASS64`), by `EI_CLASS`. */
const LAYOUTS = [
  undefined,
  { word: 4, phoff: 28, phentsize: 42, phnum: 44, offset: 4, vaddr: 8, filesz: 16 },
  { word: 8, phoff: 32, phentsize: 54, phnum: 56, offset: 8, vaddr: 16, filesz: 32 },
] as const

const HEADER = 64
const PT_LOAD = 1
const PT_INTERP = 3

/** A part of the file, as a program header describes it. */
export interface Segment {
  /** `p_type` */
  readonly type: number
  readonly offset: number
  /** The address in memory: `p_vaddr`. */
  readonly address: number
  /** The bytes in the file. */
  readonly length: number
}

/** Reads bytes of a file. What is behind its end is read as zeros. */
export type Read = (position: number, length: number) => DataView

/** How the fields of a file are stored, and where its segments are. */
export interface ElfHeaders {
  readonly arch: string | undefined
  /** The bytes of an address: 4 or 8. */
  readonly word: 4 | 8
  /** Whether numbers are stored with the least significant byte first. */
  readonly little: boolean
  /** The segments; empty if the file ends before their table does. */
  readonly segments: readonly Segment[]
  /** The position behind the headers. */
  readonly end: number
}

/** Reads an address or a size. */
export function elfWord(view: DataView, position: number, { word, little }: ElfHeaders): number {
  return word === 4 ? view.getUint32(position, little) : Number(view.getBigUint64(position, little))
}

/** Reads the headers; `undefined` for another file than an ELF file. */
export function readElfHeaders(read: Read, size: number): ElfHeaders | undefined {
  const header = read(0, HEADER)
  const layout = LAYOUTS[header.getUint8(4)]
  if (header.getUint32(0) !== 0x7f_45_4c_46 || layout === undefined) return undefined
  const little = header.getUint8(5) === 1
  const segments: Segment[] = []
  const { word } = layout
  const machine = header.getUint16(18, little)
  const processor = PROCESSORS.find(
    (one) => one.machine === machine && one.word === word && one.little === little,
  )
  const headers = { arch: processor?.arch, word, little, segments }
  const table = elfWord(header, layout.phoff, { ...headers, end: 0 })
  const entry = header.getUint16(layout.phentsize, little)
  const length = header.getUint16(layout.phnum, little) * entry
  const result = { ...headers, end: Math.max(HEADER, table + length) }
  if (result.end <= size && entry > layout.filesz) {
    const entries = read(table, length)
    for (let at = 0; at < length; at += entry) {
      segments.push({
        type: entries.getUint32(at, little),
        offset: elfWord(entries, at + layout.offset, result),
        address: elfWord(entries, at + layout.vaddr, result),
        length: elfWord(entries, at + layout.filesz, result),
      })
    }
  }
  return result
}

/** The size that a file must have for its headers and its segments that are loaded. */
export function wantedSize({ segments, end }: ElfHeaders): number {
  const loaded = segments.filter(({ type }) => type === PT_LOAD)
  return Math.max(end, ...loaded.map(({ offset, length }) => offset + length))
}

/**
 * Reads the headers of a file.
 *
 * @returns `undefined` if the file is not an ELF file
 * @throws a system error if the file cannot be read
 */
export function readElf(file: string): Elf | undefined {
  const fd = openSync(file, 'r')
  try {
    const read: Read = (position, length) => {
      const bytes = new Uint8Array(length)
      readSync(fd, bytes, 0, length, position)
      return new DataView(bytes.buffer)
    }
    const { size } = fstatSync(fd)
    const headers = readElfHeaders(read, size)
    if (headers === undefined) return undefined
    const loader = headers.segments.find(
      ({ type, offset, length }) => type === PT_INTERP && offset + length <= size,
    )
    const interpreter =
      loader === undefined
        ? undefined
        : new TextDecoder().decode(read(loader.offset, loader.length)).replace(/\0.*$/s, '')
    return { arch: headers.arch, interpreter, size, wanted: wantedSize(headers) }
  } finally {
    closeSync(fd)
  }
}
