// What Linux reports about a process: processor time, memory, descriptors.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Seconds of processor time that a process has used, including threads that have ended. */
export function processorSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The command in parentheses may contain any character; the fields after it are numbered from 3 (proc_pid_stat(5)).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  // Linux counts in 1/100 s for user space on every architecture that Node supports.
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Bytes of memory that a process uses. */
export interface Memory {
  /** Pages in memory. */
  readonly resident: number
  /** The same, with shared pages divided by the number of processes. */
  readonly proportional: number
}

/** The present memory of a process. */
export function memory(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024
  return { resident: bytes('Rss'), proportional: bytes('Pss') }
}

/** The number of open descriptors of each kind of a process; without one, of this process. */
export function descriptors(pid: number | 'self' = 'self'): Record<string, number> {
  const kinds: Record<string, number> = {}
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    let target: string
    try {
      target = readlinkSync(`/proc/${pid}/fd/${name}`)
    } catch {
      // It was closed meanwhile; in this process, the descriptor that read the folder.
      continue
    }
    // "socket:[12]", "pipe:[34]", "anon_inode:[eventpoll]", or a path.
    const [, kind = 'file'] = /^(?:anon_inode:\[?)?(\w+)(?::\[\d+\]|\])?$/.exec(target) ?? []
    kinds[kind] = (kinds[kind] ?? 0) + 1
  }
  return kinds
}
