// The processors of the proxies and of the load.
import { readFileSync } from 'node:fs'

/** Numbers of processors; none if the system chooses. */
export interface Placement {
  /** One for a proxy with one thread. */
  readonly proxy: readonly number[]
  /** Two for a proxy with two threads. On a machine with two processors, one of them has the load too. */
  readonly twoThreads: readonly number[]
  /** Clients and upstreams. */
  readonly load: readonly number[]
}

/** The proxy gets the last processor that this process may use, the load all others. */
export function placement(): Placement {
  const all = allowed()
  if (all.length < 2) return { proxy: [], twoThreads: [], load: [] }
  return { proxy: all.slice(-1), twoThreads: all.slice(-2), load: all.slice(0, -1) }
}

/** One line about the processors. */
export function describePlacement({ proxy, twoThreads, load }: Placement): string {
  if (proxy.length === 0) return 'everything on one processor'
  return `proxies on processor ${proxy}, with two threads on ${twoThreads}, clients and upstreams on ${load}`
}

/** A command that runs only on these processors. */
export function pinned(processors: readonly number[], command: readonly string[]): readonly string[] {
  return processors.length === 0 ? command : ['taskset', '--cpu-list', processors.join(','), ...command]
}

function allowed(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}
