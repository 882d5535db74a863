/** The platform of this process, by the name that its addon has. */

import { readElf } from './elf.js'

/** Whether this process uses musl, by the dynamic loader that its program names. */
function isMusl(): boolean {
  // Deno prompts for permission before a program reads the file of the runtime.
  if (process.versions['deno'] === undefined) {
    try {
      const interpreter = readElf(process.execPath)?.interpreter
      if (interpreter !== undefined) return interpreter.includes('ld-musl-')
    } catch {
      // The permission model may forbid to read the file.
    }
  }
  return isMuslByReport()
}

/**
 * The same by the diagnostic report. It takes longer, and in Node it waits until every worker has left native code,
 * which a worker in a blocking loop may never do.
 */
function isMuslByReport(): boolean {
  // The types of Node 20 do not declare `excludeNetwork`.
  const report = process.report as NodeJS.ProcessReport & { excludeNetwork: boolean }
  const before = report.excludeNetwork
  report.excludeNetwork = true
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } }
  report.excludeNetwork = before
  return header.glibcVersionRuntime === undefined
}

/**
 * The name of the platform of this process, such as `linux-x64-musl`.
 *
 * @param known the names of all platforms that have an addon. The result may be none of them
 */
export function thisPlatform(known: readonly string[]): string {
  const { platform, arch } = process
  const name = `${platform}-${arch}`
  if (platform !== 'linux') return name
  const full = `${name}-${isMusl() ? 'musl' : 'gnu'}`
  // The names of 32-bit ARM end with the floating-point convention.
  return known.find((other) => other.startsWith(full)) ?? full
}
