/** Why the addon cannot be loaded, and what to do about it. */

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The codes of the error that importing the package throws. */
export type LoadErrorCode =
  /** There is no addon for the platform. */
  | 'ERR_EVENT_ADDON_UNSUPPORTED'
  /** The package of the platform is not installed. */
  | 'ERR_EVENT_ADDON_MISSING'
  /** The addon is of another version than the package. */
  | 'ERR_EVENT_ADDON_VERSION'
  /** The process, or the file system, does not allow to read the addon or to run its code. */
  | 'ERR_EVENT_ADDON_FORBIDDEN'
  /** The file is not a complete addon. */
  | 'ERR_EVENT_ADDON_DAMAGED'
  /** The addon is for another processor or another C library. */
  | 'ERR_EVENT_ADDON_FOREIGN'
  /** The C library, or the runtime, is older than the addon needs. */
  | 'ERR_EVENT_ADDON_SYSTEM'
  /** The system refuses the addon for another reason. */
  | 'ERR_EVENT_ADDON_FAILED'

/**
 * Makes the error of an addon that cannot be loaded.
 *
 * @param message the reason and the remedy, in one line
 */
export function loadError(code: LoadErrorCode, message: string, cause?: unknown): Error {
  const line = message.replaceAll(/\s*[\r\n]+\s*/g, ' ')
  return Object.assign(new Error(line, cause === undefined ? {} : { cause }), { code })
}

/** The remedy for a file that another system installed, or that was damaged. */
export const REINSTALL = 'delete node_modules and install again on this system'

/** The reasons in the words of the systems: a pattern of the message, the code, and the remedy. */
const REASONS: readonly (readonly [RegExp, LoadErrorCode, string])[] = [
  // glibc and musl, for a library that the addon names: that of another C library, or one that is missing.
  [
    /(?:libc\.musl-\S+|ld-linux\S*|ld-musl\S*|libc\.so\.\d+): (?:cannot open|No such)/,
    'ERR_EVENT_ADDON_FOREIGN',
    `the addon is for another C library: ${REINSTALL}`,
  ],
  [
    /cannot open shared object file: No such|Error loading shared library [^:]+: No such|Library not loaded|Shared object "[^"]+" not found/,
    'ERR_EVENT_ADDON_SYSTEM',
    'install this library, which the addon needs',
  ],
  // A function that the addon calls: glibc and FreeBSD, musl, macOS.
  [
    /undefined symbol|Undefined symbol|symbol not found|Symbol not found/,
    'ERR_EVENT_ADDON_SYSTEM',
    'this system or this runtime is older than the addon needs: update it',
  ],
  [
    /incompatible architecture|Exec format error|wrong ELF class/,
    'ERR_EVENT_ADDON_FOREIGN',
    `the addon is for another processor: ${REINSTALL}`,
  ],
  [
    /: (?:invalid ELF |file too short|object file )|not a mach-o file|did not self-register/i,
    'ERR_EVENT_ADDON_DAMAGED',
    `the file is damaged, or not an addon: ${REINSTALL}`,
  ],
  [
    /: permission denied|operation not permitted|code signature/i,
    'ERR_EVENT_ADDON_FORBIDDEN',
    'make the file readable, and mount its file system without noexec',
  ],
]

/** The newest version of glibc that a file names. */
function newestGlibc(file: string, pattern: RegExp): string | undefined {
  try {
    const minors = [...readFileSync(file, 'latin1').matchAll(pattern)].map(([, minor]) => Number(minor))
    return minors.length === 0 ? undefined : `2.${Math.max(...minors)}`
  } catch {
    return undefined
  }
}

/** The restriction of the process that an error code reports, and the remedy. */
function restriction(code: unknown, file: string): string | undefined {
  const isRestricted = 'permission' in process && process.permission !== undefined
  if (code === 'ERR_DLOPEN_DISABLED') {
    return isRestricted
      ? "Node's permission model does not allow addons: run node with --allow-addons"
      : 'addons are disabled: run node without --no-addons'
  }
  return code === 'ERR_ACCESS_DENIED'
    ? `Node's permission model does not allow to read it: run node with --allow-fs-read=${file}`
    : undefined
}

/** Makes the error for what loading the file threw. */
export function dlopenError(file: string, cause: unknown): Error {
  const text = cause instanceof Error ? cause.message : String(cause)
  const forbidden = restriction(cause instanceof Error && 'code' in cause && cause.code, file)
  if (forbidden !== undefined) {
    const message = `The native addon cannot be loaded, because ${forbidden}`
    return loadError('ERR_EVENT_ADDON_FORBIDDEN', message, cause)
  }
  const [, library, version] = /([^\s:]+): version `GLIBC_([\d.]+)' not found/.exec(text) ?? []
  if (library !== undefined) {
    const needed = newestGlibc(file, /GLIBC_2\.(\d+)/g) ?? version
    // The library may be another one of glibc, such as libm; libc is beside it and contains the version.
    const found =
      newestGlibc(join(dirname(library), 'libc.so.6'), /GNU C Library[^\n]* version 2\.(\d+)/g) ??
      'an older one'
    return loadError(
      'ERR_EVENT_ADDON_SYSTEM',
      `The native addon ${file} needs glibc ${needed}, and this system has ${found}: ` +
        'update the system, or build the addon from source',
      cause,
    )
  }
  // The path of the addon may contain the words of a pattern.
  const reason = (text.replaceAll(file, 'the file').split('\n', 1)[0] ?? '').replace(/\.$/, '')
  const [, code, remedy] = REASONS.find(([pattern]) => pattern.test(reason)) ?? []
  return loadError(
    code ?? 'ERR_EVENT_ADDON_FAILED',
    `The native addon ${file} cannot be loaded: ${reason}${remedy === undefined ? '' : `; ${remedy}`}`,
    cause,
  )
}
