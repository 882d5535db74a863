/** Why the native addon cannot be loaded, and what to do about it, in one line. */

/** The messages of an error and of its causes. The loader chains one for each file that it tried, the last first. */
function messages(error: unknown): string[] {
  const found: string[] = []
  for (let one = error; one instanceof Error; one = one.cause) found.push(one.message)
  return found
}

/** What is known of a reason: how its message is recognised, and what helps. */
const REMEDIES: readonly (readonly [RegExp, string])[] = [
  // Node's permission model.
  [/loading addons is disabled/, 'add --allow-addons to the options of node'],
  [/restricted|--allow-fs-read/, 'add --allow-fs-read for the folder of event-base to the options of node'],
  [
    /GLIBC_|GLIBCXX_/,
    'this system has an older C library than the addon needs: update it, or build from source',
  ],
  [
    /ELF|Mach-O|file too short|not a valid|slice is not valid/i,
    'the file is damaged or for another system: reinstall event-base',
  ],
  [/Unsupported (?:OS|architecture)/, 'there is no addon for this platform: build it from source'],
  [/version mismatch/, 'reinstall event-base'],
  [/permission denied|EACCES/i, 'make the file readable'],
]

/**
 * Describes why importing the addon failed.
 *
 * @param error the rejection of the import
 * @returns one line
 */
export function describeLoadFailure(error: unknown): string {
  const [first = String(error), ...causes] = messages(error)
  // A file that was not found is a reason only if no other was found either.
  const real = (causes.length === 0 ? [first] : causes).filter(
    (text) => !text.startsWith('Cannot find module'),
  )
  for (const [pattern, remedy] of REMEDIES) {
    const reason = real.find((text) => pattern.test(text))
    if (reason !== undefined) return `the native addon cannot be loaded: ${oneLine(reason)}; ${remedy}`
  }
  if (real.length > 0) return `the native addon cannot be loaded: ${oneLine(real.at(-1) ?? first)}`
  const platform = `${process.platform}-${process.arch}`
  return (
    `the native addon for ${platform} is not installed: reinstall event-base with its optional dependencies ` +
    '(npm install --include=optional)'
  )
}

function oneLine(text: string): string {
  return text.split('\n', 1)[0]?.replace(/\.$/, '') ?? ''
}
