// Reads what macOS needs to load a library of the format Mach-O: `mach-o/loader.h`, `mach-o/nlist.h` and, for the
// signature, `kern/cs_blobs.h` of XNU.
import { createHash } from 'node:crypto'

export interface MachOLibrary {
  readonly format: 'Mach-O'
  /** The processor, as `process.arch` names it; `undefined` for another one. */
  readonly arch: string | undefined
  /** Whether the file is a library, `MH_DYLIB`, or a bundle, `MH_BUNDLE`. */
  readonly isShared: boolean
  /** The size that the segments require. */
  readonly wanted: number
  /** The name by which other files refer to the library: `LC_ID_DYLIB`. */
  readonly id: string | undefined
  /** The libraries that have to be loaded. */
  readonly libraries: readonly string[]
  /** The folders that are searched for libraries: `LC_RPATH`. */
  readonly searched: readonly string[]
  /** The platform, 1 for macOS, and its oldest version, such as `11.0`. */
  readonly minimum: { readonly platform: number; readonly version: string } | undefined
  /** The names of undefined symbols, as C names them, without weak ones. */
  readonly imports: readonly string[]
  /** The names of exported symbols, as C names them. */
  readonly exports: readonly string[]
  readonly signature: Signature | undefined
}

/** The embedded signature. */
export interface Signature {
  /** What is wrong with it: macOS ends a process that runs such a page on arm64. */
  readonly problem: string | undefined
  /** Whether it has no identity: `CS_ADHOC`. */
  readonly isAdHoc: boolean
}

const MH_MAGIC_64 = 0xfeed_facf
const HEADER = 32
const TYPES: ReadonlySet<number> = new Set([6, 8])
const CPU_TYPES: ReadonlyMap<number, string> = new Map([
  [0x0100_0007, 'x64'],
  [0x0100_000c, 'arm64'],
])

/** The kinds of load commands. */
const LC = {
  SYMTAB: 0x2,
  LOAD_DYLIB: 0xc,
  ID_DYLIB: 0xd,
  SEGMENT_64: 0x19,
  CODE_SIGNATURE: 0x1d,
  DYLD_INFO: 0x22,
  VERSION_MIN_MACOSX: 0x24,
  BUILD_VERSION: 0x32,
  LOAD_WEAK_DYLIB: 0x8000_0018,
  RPATH: 0x8000_001c,
  REEXPORT_DYLIB: 0x8000_001f,
  DYLD_INFO_ONLY: 0x8000_0022,
  LOAD_UPWARD_DYLIB: 0x8000_0023,
  DYLD_EXPORTS_TRIE: 0x8000_0033,
} as const

const LOADS: ReadonlySet<number> = new Set([
  LC.LOAD_DYLIB,
  LC.LOAD_WEAK_DYLIB,
  LC.REEXPORT_DYLIB,
  LC.LOAD_UPWARD_DYLIB,
])

const N_STAB = 0xe0
const N_TYPE = 0x0e
const N_EXT = 0x01
const N_WEAK_REF = 0x40

const CSMAGIC_EMBEDDED_SIGNATURE = 0xfade_0cc0
const CSMAGIC_CODEDIRECTORY = 0xfade_0c02
const CS_ADHOC = 0x2
const CS_HASHTYPE_SHA256 = 2

/** A load command: its kind, and where it is. */
interface Command {
  readonly kind: number
  readonly at: number
  readonly size: number
}

function loadCommands(view: DataView): Command[] {
  const commands: Command[] = []
  let at = HEADER
  for (let left = view.getUint32(16, true); left > 0; left -= 1) {
    const size = view.getUint32(at + 4, true)
    if (size < 8) throw new RangeError(`a load command has ${size} bytes`)
    commands.push({ kind: view.getUint32(at, true), at, size })
    at += size
  }
  return commands
}

/** A text that ends with a zero, or at a position. */
function text(view: DataView, position: number, limit = view.byteLength): string {
  let end = position
  while (end < limit && view.getUint8(end) !== 0) end += 1
  const { buffer, byteOffset } = view
  return new TextDecoder('latin1').decode(new Uint8Array(buffer, byteOffset + position, end - position))
}

/** A version, packed into 16, 8 and 8 bits. */
function version(packed: number): string {
  const patch = packed & 0xff
  return `${packed >>> 16}.${(packed >>> 8) & 0xff}${patch === 0 ? '' : `.${patch}`}`
}

/** The undefined symbols that have to be found. */
function importsOf(view: DataView, { at }: Command): string[] {
  const table = view.getUint32(at + 8, true)
  const count = view.getUint32(at + 12, true)
  const strings = view.getUint32(at + 16, true)
  const names: string[] = []
  for (let entry = table; entry < table + 16 * count; entry += 16) {
    const type = view.getUint8(entry + 4)
    const isUndefined = (type & (N_STAB | N_TYPE)) === 0 && (type & N_EXT) !== 0
    const isWeak = (view.getUint16(entry + 6, true) & N_WEAK_REF) !== 0
    if (isUndefined && !isWeak) names.push(nameInC(text(view, strings + view.getUint32(entry, true))))
  }
  return names
}

function nameInC(symbol: string): string {
  return symbol.replace(/^_/, '')
}

/** Reads a number of seven bits a byte, and returns it with the position behind it. */
function uleb(view: DataView, position: number): [value: number, end: number] {
  let value = 0
  let at = position
  for (let factor = 1; ; factor *= 128, at += 1) {
    const byte = view.getUint8(at)
    value += (byte & 0x7f) * factor
    if (byte < 0x80) return [value, at + 1]
  }
}

/** The exported symbols: the trie that dlsym(3) searches. */
function exportsOf(view: DataView, start: number, size: number): string[] {
  const names: string[] = []
  const visited = new Set<number>()
  const walk = (at: number, prefix: string): void => {
    if (at >= start + size || visited.has(at)) throw new RangeError('the trie of exported symbols is damaged')
    visited.add(at)
    const [length, behind] = uleb(view, at)
    if (length > 0) names.push(nameInC(prefix))
    let child = behind + length
    const count = view.getUint8(child)
    child += 1
    for (let index = 0; index < count; index += 1) {
      const label = text(view, child)
      const [offset, next] = uleb(view, child + label.length + 1)
      walk(start + offset, prefix + label)
      child = next
    }
  }
  if (size > 0) walk(start, '')
  return names
}

/** Where the trie of exported symbols is. */
function exportsRange(
  view: DataView,
  { kind, at }: Command,
): readonly [start: number, size: number] | undefined {
  if (kind === LC.DYLD_EXPORTS_TRIE) return [view.getUint32(at + 8, true), view.getUint32(at + 12, true)]
  if (kind === LC.DYLD_INFO || kind === LC.DYLD_INFO_ONLY) {
    return [view.getUint32(at + 40, true), view.getUint32(at + 44, true)]
  }
  return undefined
}

function wrong(problem: string): Signature {
  return { problem, isAdHoc: false }
}

/** Reads the signature and compares the hash of every page of the file. */
function readSignature(bytes: Uint8Array, view: DataView, { at }: Command): Signature {
  const start = view.getUint32(at + 8, true)
  if (start + view.getUint32(at + 12, true) > bytes.length) return wrong('it ends behind the file')
  if (view.getUint32(start) !== CSMAGIC_EMBEDDED_SIGNATURE) return wrong('it has an unknown format')
  let directory: number | undefined
  for (let left = view.getUint32(start + 8), entry = start + 12; left > 0; left -= 1, entry += 8) {
    const blob = start + view.getUint32(entry + 4)
    if (view.getUint32(blob) === CSMAGIC_CODEDIRECTORY) directory ??= blob
  }
  if (directory === undefined) return wrong('it has no code directory')
  const hashes = directory + view.getUint32(directory + 16)
  const slots = view.getUint32(directory + 28)
  const limit = view.getUint32(directory + 32)
  const hashSize = view.getUint8(directory + 36)
  const page = 2 ** view.getUint8(directory + 39)
  if (view.getUint8(directory + 37) !== CS_HASHTYPE_SHA256 || hashSize !== 32) {
    return wrong('its hashes are not SHA-256')
  }
  if (limit !== start) return wrong(`it covers ${limit} of ${start} bytes`)
  if (slots !== Math.ceil(limit / page)) return wrong(`it has ${slots} hashes of ${Math.ceil(limit / page)}`)
  for (let slot = 0; slot < slots; slot += 1) {
    const content = bytes.subarray(slot * page, Math.min((slot + 1) * page, limit))
    const hash = bytes.subarray(hashes + slot * hashSize, hashes + (slot + 1) * hashSize)
    if (!createHash('sha256').update(content).digest().equals(hash)) {
      return wrong(`the hash of page ${slot} is not that of its contents`)
    }
  }
  return { problem: undefined, isAdHoc: (view.getUint32(directory + 12) & CS_ADHOC) !== 0 }
}

function minimumOf(view: DataView, commands: readonly Command[]): MachOLibrary['minimum'] {
  for (const { kind, at } of commands) {
    if (kind === LC.BUILD_VERSION) {
      return { platform: view.getUint32(at + 8, true), version: version(view.getUint32(at + 12, true)) }
    }
    if (kind === LC.VERSION_MIN_MACOSX) return { platform: 1, version: version(view.getUint32(at + 8, true)) }
  }
  return undefined
}

/**
 * Reads a library.
 *
 * @returns `undefined` for another file than a Mach-O file of 64 bits for one processor
 * @throws RangeError if a position in the file is not in the file
 */
export function readMachOLibrary(bytes: Uint8Array): MachOLibrary | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < HEADER || view.getUint32(0, true) !== MH_MAGIC_64) return undefined
  const commands = loadCommands(view)
  const of = (kind: number): Command | undefined => commands.find((command) => command.kind === kind)
  // The text of these commands is at a position inside the command.
  const named = ({ at, size }: Command): string => text(view, at + view.getUint32(at + 8, true), at + size)
  const id = of(LC.ID_DYLIB)
  const symbols = of(LC.SYMTAB)
  const signature = of(LC.CODE_SIGNATURE)
  const range = commands.map((command) => exportsRange(view, command)).find((found) => found !== undefined)
  const ends = commands
    .filter(({ kind }) => kind === LC.SEGMENT_64)
    .map(({ at }) => Number(view.getBigUint64(at + 40, true)) + Number(view.getBigUint64(at + 48, true)))
  return {
    format: 'Mach-O',
    arch: CPU_TYPES.get(view.getUint32(4, true)),
    isShared: TYPES.has(view.getUint32(12, true)),
    wanted: Math.max(HEADER, ...ends),
    id: id === undefined ? undefined : named(id),
    libraries: commands.filter(({ kind }) => LOADS.has(kind)).map(named),
    searched: commands.filter(({ kind }) => kind === LC.RPATH).map(named),
    minimum: minimumOf(view, commands),
    imports: symbols === undefined ? [] : importsOf(view, symbols),
    exports: range === undefined ? [] : exportsOf(view, ...range),
    signature: signature === undefined ? undefined : readSignature(bytes, view, signature),
  }
}
