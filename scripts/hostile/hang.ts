// What a process does that no longer makes progress.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

import { processorSeconds } from '../lib/system.mjs'

/** Milliseconds between the two readings of the processor time. */
const INTERVAL = 3000

/** Describes the processor time that a process uses, and what its threads wait for. */
export async function describeHang(pid: number): Promise<string> {
  try {
    const before = processorSeconds(pid)
    await setTimeout(INTERVAL)
    const used = processorSeconds(pid) - before
    return [`${used.toFixed(2)} s of processor time in ${INTERVAL / 1000} s`, ...threads(pid)].join('\n')
  } catch (error) {
    return `its state is not known: ${String(error)}`
  }
}

/** The name, the function of the kernel in which it sleeps, and the system call of each thread: proc(5). */
function threads(pid: number): string[] {
  const field = (task: string, name: string): string => {
    try {
      return readFileSync(`/proc/${pid}/task/${task}/${name}`, 'latin1').trim()
    } catch {
      // The thread has ended, or this user may not read it.
      return '?'
    }
  }
  return readdirSync(`/proc/${pid}/task`).map(
    (task) =>
      `thread ${task} ${field(task, 'comm')}: wchan ${field(task, 'wchan')}, syscall ${field(task, 'syscall')}`,
  )
}
