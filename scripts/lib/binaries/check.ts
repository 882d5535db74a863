// Checks that a binary is an addon that its platform can load, on the oldest systems that are supported.
import { readElfLibrary, type ElfLibrary } from './elf.js'
import { oldestGlibc } from './glibc.js'
import { readMachOLibrary, type MachOLibrary } from './mach-o.js'
import { MACOS_SYMBOLS, MUSL_SYMBOLS } from './symbols.js'

/** The most bytes of an addon, with which a platform's package has at most 1.5 MB. */
export const SIZE_LIMIT = 1_490_000

/** The symbol that Node looks up in an addon. */
const REGISTRATION = 'napi_register_module_v1'

/** The flag of files for 32-bit ARM whose functions take floating-point numbers in registers for them. */
const EF_ARM_ABI_FLOAT_HARD = 0x400

/** The oldest macOS. */
const MACOS = '11.0'

/** What the addons of one kind of system may need. */
interface ElfRules {
  /** The numbers of the system in the file. Only FreeBSD's compilers set one. */
  readonly systems: readonly number[]
  /** The C library, which the addon must name. */
  readonly libc: RegExp
  /** The other libraries that every system has. */
  readonly libraries: RegExp
  /** The newest versions of symbols, by the part of their names before the number. */
  readonly versions: Readonly<Record<string, string>>
  /** The symbols that the C library has; `undefined` if its symbols have versions. */
  readonly symbols?: ReadonlySet<string>
}

function gnuRules(glibc: string): ElfRules {
  return {
    systems: [0, 3],
    libc: /^libc\.so\.6$/,
    libraries:
      /^(?:lib(?:m|gcc_s)\.so\.\d|lib(?:pthread|dl|rt|util)\.so\.\d|ld-linux[\w-]*\.so\.\d|ld64\.so\.\d)$/,
    // CentOS 7 has this version of libgcc.
    versions: { GLIBC: glibc, GCC: '4.8.0' },
  }
}

const RULES: Readonly<Record<'musl' | 'freebsd', ElfRules>> = {
  // musl has no versions. Its loader takes both names of the library for its own.
  musl: {
    systems: [0, 3],
    libc: /^libc\.(?:so|musl-\w+\.so\.1)$/,
    libraries: /^$/,
    versions: {},
    symbols: MUSL_SYMBOLS,
  },
  // The libraries and versions of FreeBSD 13: lib/libc/Versions.def.
  freebsd: {
    systems: [0, 9],
    libc: /^libc\.so\.7$/,
    libraries: /^lib(?:m\.so\.5|thr\.so\.3|gcc_s\.so\.1)$/,
    versions: { FBSD: '1.6', GCC: '4.8.0' },
  },
}

function rulesOf(platform: string): ElfRules {
  const glibc = oldestGlibc(platform)
  if (glibc !== undefined) return gnuRules(glibc)
  return platform.startsWith('freebsd-') ? RULES.freebsd : RULES.musl
}

/** Traces of the machine that built a file: home folders, folders of builds, the folder of downloaded crates. */
const BUILD_PATH = /\/(?:root|home|Users|tmp|private|runner|target|__w|registry\/src)\/[\w.+/-]*/

/** Compares versions of numbers and dots. */
function isNewer(version: string, than: string): boolean {
  const [left, right] = [version, than].map((text) => text.split('.').map(Number))
  for (const [index, number] of (left ?? []).entries()) {
    const other = right?.[index] ?? 0
    if (number !== other) return number > other
  }
  return false
}

function listed(problem: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`${problem}: ${[...new Set(names)].join(', ')}`]
}

function elfProblems(library: ElfLibrary, rules: ElfRules): string[] {
  const { arch, flags, system, libraries, versions, imports } = library
  const tooNew = versions.filter(({ name }) => {
    const [, family = '', number = ''] = /^(\w+)_([\d.]+)$/.exec(name) ?? []
    const newest = rules.versions[family]
    return newest === undefined || isNewer(number, newest)
  })
  return [
    ...(arch === 'arm' && (flags & EF_ARM_ABI_FLOAT_HARD) === 0
      ? ['it does not use the hard-float convention']
      : []),
    ...(rules.systems.includes(system) ? [] : [`it is for another system: EI_OSABI is ${system}`]),
    ...(libraries.some((name) => rules.libc.test(name))
      ? []
      : ['it does not name the C library of its platform']),
    ...listed(
      'it needs libraries that are not on every system',
      libraries.filter((name) => !rules.libc.test(name) && !rules.libraries.test(name)),
    ),
    ...listed(
      `it needs versions of symbols newer than ${Object.entries(rules.versions)
        .map(([family, version]) => `${family}_${version}`)
        .join(', ')}`,
      tooNew.map((version) => `${version.name} of ${version.library}`),
    ),
    ...unknownSymbols(imports, rules.symbols),
  ]
}

/** The symbols that neither the system nor Node has. */
function unknownSymbols(imports: readonly string[], symbols: ReadonlySet<string> | undefined): string[] {
  if (symbols === undefined) return []
  const unknown = imports.filter((name) => !symbols.has(name) && !/^(?:napi|node_api)_/.test(name))
  return listed('it needs symbols that are not in scripts/lib/binaries/symbols.ts', unknown)
}

function machOProblems(library: MachOLibrary): string[] {
  const { id, minimum, signature, libraries, imports } = library
  const problems: string[] = []
  if (id !== undefined && id.includes('/') && !id.startsWith('@rpath/'))
    problems.push(`its id is a path: ${id}`)
  if (minimum?.platform !== 1) problems.push('it is not for macOS')
  else if (minimum.version !== MACOS)
    problems.push(`it is for macOS ${minimum.version} and newer, not ${MACOS}`)
  const others = libraries.filter((name) => name !== '/usr/lib/libSystem.B.dylib')
  problems.push(...listed('it needs libraries other than libSystem', others))
  problems.push(...unknownSymbols(imports, MACOS_SYMBOLS))
  // macOS runs no code without a signature on arm64.
  if (signature === undefined) return library.arch === 'arm64' ? [...problems, 'it is not signed'] : problems
  if (signature.problem !== undefined) problems.push(`its signature is wrong: ${signature.problem}`)
  return problems
}

/** What a file is: its contents, or why they cannot be read. */
function readLibrary(bytes: Uint8Array): ElfLibrary | MachOLibrary | string {
  try {
    return readElfLibrary(bytes) ?? readMachOLibrary(bytes) ?? 'it is neither an ELF file nor a Mach-O file'
  } catch (error) {
    if (error instanceof RangeError) return `it is damaged: ${error.message}`
    throw error
  }
}

/**
 * Returns everything that is wrong with a binary.
 *
 * @param platform the name of a platform, such as `linux-x64-gnu`
 */
export function binaryProblems(bytes: Uint8Array, platform: string): string[] {
  const [system, arch] = platform.split('-')
  const library = readLibrary(bytes)
  if (typeof library === 'string') return [library]
  const format = system === 'darwin' ? 'Mach-O' : 'ELF'
  if (library.format !== format) return [`its format is ${library.format}, not that of ${platform}`]
  if (library.arch !== arch) return [`it is for ${library.arch ?? 'another processor'}, not for ${platform}`]
  const buildPath = BUILD_PATH.exec(
    Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1'),
  )
  return [
    ...(library.isShared ? [] : ['it is not a shared library']),
    ...(bytes.length < library.wanted ? [`it has ${bytes.length} bytes of at least ${library.wanted}`] : []),
    ...(bytes.length > SIZE_LIMIT ? [`it has ${bytes.length} bytes, of at most ${SIZE_LIMIT}`] : []),
    ...(library.exports.includes(REGISTRATION) ? [] : [`it does not export ${REGISTRATION}`]),
    ...listed('it searches folders for libraries', library.searched),
    ...(buildPath === null ? [] : [`it has a path of the build: ${buildPath[0]}`]),
    ...(library.format === 'Mach-O' ? machOProblems(library) : elfProblems(library, rulesOf(platform))),
  ]
}
