/** What the process holds. */

import { readdirSync, readlinkSync } from 'node:fs'

/** How many descriptors of each kind this process has open. */
export function descriptors(): Record<string, number> {
  const kinds: Record<string, number> = {}
  for (const name of readdirSync('/proc/self/fd')) {
    let target: string
    try {
      target = readlinkSync(`/proc/self/fd/${name}`)
    } catch {
      // The one that reads the folder.
      continue
    }
    // "socket:[12]", "pipe:[34]", "anon_inode:[eventpoll]", or a path.
    const [, kind = 'file'] = /^(?:anon_inode:\[?)?(\w+)(?::\[\d+\]|\])?$/.exec(target) ?? []
    kinds[kind] = (kinds[kind] ?? 0) + 1
  }
  return kinds
}
