// Reads what a system needs to load a shared library of the format ELF: elf(5), and "Linker and Libraries Guide" of
// Solaris, which defines the versions of symbols.
import { elfWord, readElfHeaders, wantedSize, type ElfHeaders, type Read } from '../../../ts/addon/elf.js'

/** A version of a library's symbols that the file requires, such as `GLIBC_2.17` of `libc.so.6`. */
export interface NeededVersion {
  readonly library: string
  readonly name: string
}

export interface ElfLibrary {
  readonly format: 'ELF'
  /** The processor, by its name in `ts/addon/elf.ts`; `undefined` for one that is not there. */
  readonly arch: string | undefined
  /** The flags of the processor: `e_flags`. */
  readonly flags: number
  /** The system, by `EI_OSABI`: 0 is System V, which Linux uses, 3 Linux, 9 FreeBSD. */
  readonly system: number
  /** Whether the file is a shared object, `ET_DYN`. */
  readonly isShared: boolean
  /** The size that the headers require. */
  readonly wanted: number
  /** The libraries that have to be loaded: `DT_NEEDED`. */
  readonly libraries: readonly string[]
  /** The folders that are searched for libraries: `DT_RPATH` and `DT_RUNPATH`. */
  readonly searched: readonly string[]
  readonly versions: readonly NeededVersion[]
  /** The names of undefined symbols, without weak ones, which may be missing. */
  readonly imports: readonly string[]
  readonly exports: readonly string[]
}

const ET_DYN = 3
const PT_LOAD = 1
const PT_DYNAMIC = 2

const DT_NULL = 0
const DT_NEEDED = 1
const DT_HASH = 4
const DT_STRTAB = 5
const DT_SYMTAB = 6
const DT_RPATH = 15
const DT_RUNPATH = 29
const DT_GNU_HASH = 0x6fff_fef5
const DT_VERNEED = 0x6fff_fffe

const VER_FLG_WEAK = 2
const STB_WEAK = 2
const SHN_UNDEF = 0

/** Where the fields of a symbol are. */
const SYMBOLS = {
  4: { size: 16, info: 12, section: 14 },
  8: { size: 24, info: 4, section: 6 },
} as const

/** The file, and where its segments are in memory. */
class Image {
  readonly headers: ElfHeaders
  readonly view: DataView

  constructor(view: DataView, headers: ElfHeaders) {
    this.view = view
    this.headers = headers
  }

  u16(position: number): number {
    return this.view.getUint16(position, this.headers.little)
  }

  u32(position: number): number {
    return this.view.getUint32(position, this.headers.little)
  }

  word(position: number): number {
    return elfWord(this.view, position, this.headers)
  }

  /** The position of an address. Throws if no segment has it. */
  position(address: number): number {
    const segment = this.headers.segments.find(
      ({ type, address: from, length }) => type === PT_LOAD && address >= from && address < from + length,
    )
    if (segment === undefined) throw new RangeError(`no segment has the address ${address}`)
    return address - segment.address + segment.offset
  }

  text(position: number): string {
    let end = position
    while (this.view.getUint8(end) !== 0) end += 1
    const { buffer, byteOffset } = this.view
    return new TextDecoder('latin1').decode(new Uint8Array(buffer, byteOffset + position, end - position))
  }
}

/** The entries of the dynamic section: the values by their tag. */
function dynamicSection(image: Image): Map<number, number[]> {
  const { segments, word } = image.headers
  const found = new Map<number, number[]>()
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC)
  if (dynamic === undefined) return found
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.length; at += 2 * word) {
    const tag = image.word(at)
    if (tag === DT_NULL) break
    const values = found.get(tag) ?? []
    values.push(image.word(at + word))
    found.set(tag, values)
  }
  return found
}

/** The number of symbols, which only the tables that find them by their names contain. */
function symbolCount(image: Image, plain: number | undefined, gnu: number | undefined): number {
  // The second number of the plain table is the number of symbols.
  if (plain !== undefined) return image.u32(image.position(plain) + 4)
  if (gnu === undefined) return 0
  const table = image.position(gnu)
  const buckets = image.u32(table)
  const first = image.u32(table + 4)
  const filter = image.u32(table + 8) * image.headers.word
  const start = table + 16 + filter
  let last = 0
  for (let index = 0; index < buckets; index += 1) last = Math.max(last, image.u32(start + 4 * index))
  if (last < first) return first
  // The lowest bit is set in the last entry of a chain.
  const chains = start + 4 * buckets
  while ((image.u32(chains + 4 * (last - first)) & 1) === 0) last += 1
  return last + 1
}

/** The positions of the entries of a list. The last one has 0 as the distance to the next. */
function* list(image: Image, first: number, distance: number): Generator<number> {
  for (let entry = first; ;) {
    yield entry
    const next = image.u32(entry + distance)
    if (next === 0) return
    entry += next
  }
}

/** The versions that the file requires, without weak ones, which may be missing. */
function neededVersions(image: Image, table: number, strings: number): NeededVersion[] {
  const versions: NeededVersion[] = []
  for (const file of list(image, image.position(table), 12)) {
    const library = image.text(strings + image.u32(file + 4))
    for (const version of list(image, file + image.u32(file + 8), 12)) {
      const isWeak = (image.u16(version + 4) & VER_FLG_WEAK) !== 0
      if (!isWeak) versions.push({ library, name: image.text(strings + image.u32(version + 8)) })
    }
  }
  return versions
}

/** The names of symbols: the undefined ones that must be found, and the defined ones. */
function symbols(
  image: Image,
  table: number,
  count: number,
  strings: number,
): Pick<ElfLibrary, 'imports' | 'exports'> {
  const { size, info, section } = SYMBOLS[image.headers.word]
  const imports: string[] = []
  const exports: string[] = []
  // The first symbol has no name.
  for (let at = table + size; at < table + count * size; at += size) {
    const name = image.text(strings + image.u32(at))
    const isWeak = image.view.getUint8(at + info) >> 4 === STB_WEAK
    if (image.u16(at + section) !== SHN_UNDEF) exports.push(name)
    else if (!isWeak) imports.push(name)
  }
  return { imports, exports }
}

/**
 * Reads a library.
 *
 * @returns `undefined` for another file than an ELF file
 * @throws RangeError if a position in the file is not in the file
 */
export function readElfLibrary(bytes: Uint8Array): ElfLibrary | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const read: Read = (position, length) => {
    const copy = new Uint8Array(length)
    copy.set(bytes.subarray(position, position + length))
    return new DataView(copy.buffer)
  }
  const headers = readElfHeaders(read, bytes.length)
  if (headers === undefined) return undefined
  const image = new Image(view, headers)
  const dynamic = dynamicSection(image)
  const one = (tag: number): number | undefined => dynamic.get(tag)?.[0]
  const strings = image.position(one(DT_STRTAB) ?? 0)
  const texts = (tag: number): string[] => (dynamic.get(tag) ?? []).map((at) => image.text(strings + at))
  const versions = one(DT_VERNEED)
  return {
    format: 'ELF',
    arch: headers.arch,
    flags: image.u32(headers.word === 4 ? 36 : 48),
    system: view.getUint8(7),
    isShared: image.u16(16) === ET_DYN,
    wanted: wantedSize(headers),
    libraries: texts(DT_NEEDED),
    searched: [...texts(DT_RPATH), ...texts(DT_RUNPATH)],
    versions: versions === undefined ? [] : neededVersions(image, versions, strings),
    ...symbols(
      image,
      image.position(one(DT_SYMTAB) ?? 0),
      symbolCount(image, one(DT_HASH), one(DT_GNU_HASH)),
      strings,
    ),
  }
}
