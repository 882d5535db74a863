/** The platform of this process, by the name that its addon has. */

import { endianness } from 'node:os'

import { readElf } from './elf.js'

/** The dynamic loader that the program of this process names, if it is known. */
function dynamicLoader(): string | undefined {
  // Deno prompts for permission before a program reads the file of the runtime.
  if (process.versions['deno'] !== undefined) return undefined
  try {
    return readElf(process.execPath)?.interpreter
  } catch {
    // The permission model may forbid to read the file.
    return undefined
  }
}

/** Whether a 32-bit ARM process passes floating-point numbers in registers for them: the hard-float convention. */
function isHardFloat(loader: string | undefined): boolean {
  if (loader !== undefined) return loader.includes('armhf')
  const { variables } = process.config as { variables: { arm_float_abi?: string } }
  return variables.arm_float_abi === 'hard'
}

/**
 * The processor of this process, as `process.arch` names it, except for `ppc64be`: there `process.arch` is `ppc64`, as
 * for the opposite byte order.
 */
export function thisProcessor(): string {
  return process.arch === 'ppc64' && endianness() === 'BE' ? 'ppc64be' : process.arch
}

/**
 * Whether this process uses musl, by the diagnostic report. It takes longer than reading the program, and in Node it waits
 * until every worker has left native code, which a worker in a blocking loop may never do.
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

/** The name of the platform of this process, such as `linux-x64-musl`, also if it has no addon. */
export function thisPlatform(): string {
  const arch = thisProcessor()
  const name = `${process.platform}-${arch}`
  if (process.platform !== 'linux') return name
  const loader = dynamicLoader()
  const isMusl = loader === undefined ? isMuslByReport() : loader.includes('ld-musl-')
  const libc = isMusl ? 'musl' : 'gnu'
  if (arch !== 'arm') return `${name}-${libc}`
  return `${name}-${libc}eabi${isHardFloat(loader) ? 'hf' : ''}`
}
