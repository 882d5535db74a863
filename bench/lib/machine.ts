// The machine on which figures are measured.
import { execFileSync } from 'node:child_process'
import { cpus, loadavg, release } from 'node:os'

import { root } from '../../scripts/lib/run.js'

/** The place and time of a measurement. */
export interface Machine {
  readonly date: string
  readonly commit: string
  readonly processor: string
  readonly processors: number
  readonly kernel: string
  readonly node: string
  /** Load average of the minute before; below 0.5 on a quiet machine. */
  readonly load: number
}

/** Describes this machine; called before the measurement. */
export function machine(): Machine {
  const all = cpus()
  return {
    date: new Date().toISOString(),
    commit: commit(),
    processor: all[0]?.model ?? 'unknown',
    processors: all.length,
    kernel: release(),
    node: process.version,
    load: loadavg()[0] ?? 0,
  }
}

/** One line about the machine. */
export function describe(measured: Machine, libevent: string | undefined): string {
  const { date, commit: at, processor, processors, kernel, node, load } = measured
  const peer = libevent === undefined ? '' : `, libevent ${libevent}`
  return `${date}, commit ${at}, ${processors} × ${processor}, Linux ${kernel}, Node ${node}${peer}, load before ${load.toFixed(2)}`
}

function commit(): string {
  try {
    const id = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: root,
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim()
    const changes = execFileSync('git', ['status', '--porcelain'], {
      cwd: root,
      encoding: 'utf8',
      stdio: 'pipe',
    })
    return changes === '' ? id : `${id} with changes`
  } catch {
    return 'unknown'
  }
}
