/** The reason why the native addon cannot be loaded, and the remedy, in one line. */

/**
 * The messages of an error and of its causes. The loader chains one error for each file that it tried; the last file
 * comes first.
 */
function messages(error: unknown): string[] {
  const found: string[] = []
  for (let one = error; one instanceof Error; one = one.cause) found.push(one.message)
  return found
}

const DAMAGED = 'the file is damaged or for another system: reinstall event-base'

/**
 * The remedies, by patterns of the reason's message. A message contains the path of the file, so a pattern has more
 * than a word that can be a folder's name.
 */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/addons is disabled/, 'run node without --no-addons, or with --allow-addons beside --permission'],
  // This is the message of Node's permission model.
  [/has been restricted/, 'run node with --allow-fs-read for the folder of event-base'],
  [
    /version `GLIBC/,
    'the C library of this system is older than the addon needs: update the system, or build from source',
  ],
  // glibc, macOS, musl, and Node for a library that is not an addon.
  [/: (?:(?:invalid|wrong) )?ELF |: file too short|: object file |undefined symbol/, DAMAGED],
  [/mach-o file|Exec format error|not a valid|did not self-register/i, DAMAGED],
  // glibc skips a file for another processor, and then reports that it does not exist.
  [/\.node: cannot open shared object file: No such file/, DAMAGED],
  [/cannot open shared object file: No such file/, 'install this library, which the addon needs'],
  [/Unsupported (?:OS|architecture)/, 'there is no addon for this platform: build it from source'],
  [/version mismatch/, 'reinstall event-base'],
  [/: permission denied/i, 'make the file readable'],
]

/**
 * Describes why importing the addon failed.
 *
 * @param error the rejection of the import
 * @returns one line
 */
export function describeLoadFailure(error: unknown): string {
  const [first = String(error), ...causes] = messages(error)
  // The loader tries several files. A missing file is the reason only if all files are missing.
  const reasons = (causes.length === 0 ? [first] : causes).filter(
    (text) => !text.startsWith('Cannot find module'),
  )
  for (const [pattern, remedy] of REMEDIES) {
    const reason = reasons.find((text) => pattern.test(text))
    if (reason !== undefined) return `the native addon cannot be loaded: ${firstLine(reason)}; ${remedy}`
  }
  const [reason] = reasons
  if (reason !== undefined) return `the native addon cannot be loaded: ${firstLine(reason)}`
  const path = process.env['NAPI_RS_NATIVE_LIBRARY_PATH']
  if (path) return `NAPI_RS_NATIVE_LIBRARY_PATH names ${JSON.stringify(path)}, which does not exist`
  return (
    `the native addon for ${process.platform}-${process.arch} is not installed: reinstall event-base with its ` +
    'optional dependencies (npm install --include=optional)'
  )
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]?.replace(/\.$/, '') ?? ''
}
