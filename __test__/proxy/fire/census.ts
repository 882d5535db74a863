/** The open descriptors of the process. */

import { readdirSync, readlinkSync } from 'node:fs'

/** The number of open descriptors of each kind. */
export function descriptors(): Record<string, number> {
  const kinds: Record<string, number> = {}
  for (const name of readdirSync('/proc/self/fd')) {
    let target: string
    try {
      target = readlinkSync(`/proc/self/fd/${name}`)
    } catch {
      // The descriptor that reads the folder is closed by now.
      continue
    }
    // "socket:[12]", "pipe:[34]", "anon_inode:[eventpoll]", or a path.
    const [, kind = 'file'] = /^(?:anon_inode:\[?)?(\w+)(?::\[\d+\]|\])?$/.exec(target) ?? []
    kinds[kind] = (kinds[kind] ?? 0) + 1
  }
  return kinds
}
