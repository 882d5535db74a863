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

/** The remedies, by patterns of the reason's message. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  [/addons is disabled/, 'run node without --no-addons, or with --allow-addons beside --permission'],
  // This is the message of Node's permission model.
  [/has been restricted/, 'run node with --allow-fs-read for the folder of event-base'],
  [
    /GLIBC/,
    'the C library of this system is older than the addon needs: update the system, or build from source',
  ],
  [/ELF|Mach-O|too short|not a valid/i, 'the file is damaged or for another system: reinstall event-base'],
  [/Unsupported (?:OS|architecture)/, 'there is no addon for this platform: build it from source'],
  [/version mismatch/, 'reinstall event-base'],
  [/permission denied/i, 'make the file readable'],
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
