/** What the headers of an ELF file contain: the processor, the dynamic loader, and how long the file has to be. */

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** The headers of an ELF file: `elf(5)`. */
export interface Elf {
  /** The processor, as `process.arch` names it; `undefined` for one that is not in the table. */
  readonly arch: string | undefined
  /** The path of the dynamic loader; only programs have one. */
  readonly interpreter: string | undefined
  /** The size of the file in bytes. */
  readonly size: number
  /** The size that the headers require: a file that is shorter was cut. */
  readonly wanted: number
}

/** The numbers of processors: `e_machine`. */
const MACHINES: ReadonlyMap<number, string> = new Map([
  [3, 'ia32'],
  [21, 'ppc64'],
  [22, 's390x'],
  [40, 'arm'],
  [62, 'x64'],
  [183, 'arm64'],
  [243, 'riscv64'],
  [258, 'loong64'],
])

/** The positions of the fields in files of 32 bits (`ELFCLASS32`) and of 64 (`ELFCLASS64`), by `EI_CLASS`. */
const LAYOUTS = [
  undefined,
  { word: 4, phoff: 28, phentsize: 42, phnum: 44, offset: 4, filesz: 16 },
  { word: 8, phoff: 32, phentsize: 54, phnum: 56, offset: 8, filesz: 32 },
] as const

const HEADER = 64
const PT_LOAD = 1
const PT_INTERP = 3

/**
 * Reads the headers of a file.
 *
 * @returns `undefined` if the file is not an ELF file
 * @throws a system error if the file cannot be read
 */
export function readElf(file: string): Elf | undefined {
  const fd = openSync(file, 'r')
  try {
    const read = (position: number, length: number): DataView => {
      // What is behind the end of the file is read as zeros.
      const bytes = new Uint8Array(length)
      readSync(fd, bytes, 0, length, position)
      return new DataView(bytes.buffer)
    }
    const header = read(0, HEADER)
    const layout = LAYOUTS[header.getUint8(4)]
    if (header.getUint32(0) !== 0x7f_45_4c_46 || layout === undefined) return undefined
    const little = header.getUint8(5) === 1
    const word = (view: DataView, position: number): number =>
      layout.word === 4 ? view.getUint32(position, little) : Number(view.getBigUint64(position, little))

    const { size } = fstatSync(fd)
    const table = word(header, layout.phoff)
    const entry = header.getUint16(layout.phentsize, little)
    const length = header.getUint16(layout.phnum, little) * entry
    let wanted = Math.max(HEADER, table + length)
    let interpreter: string | undefined
    if (wanted <= size && entry > layout.filesz) {
      const entries = read(table, length)
      for (let at = 0; at < length; at += entry) {
        const type = entries.getUint32(at, little)
        const start = word(entries, at + layout.offset)
        const bytes = word(entries, at + layout.filesz)
        if (type === PT_LOAD) wanted = Math.max(wanted, start + bytes)
        if (type === PT_INTERP && start + bytes <= size) {
          interpreter = new TextDecoder().decode(read(start, bytes)).replace(/\0.*$/s, '')
        }
      }
    }
    return { arch: MACHINES.get(header.getUint16(18, little)), interpreter, size, wanted }
  } finally {
    closeSync(fd)
  }
}
