import { fstatSync, readdirSync, readlinkSync } from 'node:fs'

/** The open descriptors of this process, and what each refers to. */
export function openDescriptors(): Map<number, string> {
  const found = new Map<number, string>()
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      found.set(Number(name), readlinkSync(`/proc/self/fd/${name}`))
    } catch {
      // The descriptor that reads the folder is closed by now.
    }
  }
  return found
}

/** Whether a number names an open descriptor. */
export function isOpen(fd: number): boolean {
  try {
    fstatSync(fd)
    return true
  } catch {
    return false
  }
}
