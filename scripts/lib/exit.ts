// Processes and folders that must not outlive the script that made them.
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'

const children = new Map<ChildProcess, NodeJS.Signals>()
const groups = new Set<number>()
const folders = new Set<string>()

/** Sends a signal to the process when this process exits, unless it has ended by then. Returns the process. */
export function endWithThis<T extends ChildProcess>(child: T, signal: NodeJS.Signals = 'SIGKILL'): T {
  children.set(child, signal)
  const forget = (): void => void children.delete(child)
  child.once('exit', forget).once('error', forget)
  return child
}

/** Ends the processes of a group that are left. */
export function killGroup(leader: number): void {
  groups.delete(leader)
  try {
    process.kill(-leader, 'SIGKILL')
  } catch {
    // All have ended.
  }
}

/**
 * Kills the group that a detached process leads when this process exits, unless {@link killGroup} has ended it by then.
 * Returns the process.
 */
export function endGroupWithThis<T extends ChildProcess>(child: T): T {
  if (child.pid !== undefined) groups.add(child.pid)
  return child
}

/** Makes a folder for temporary files. It is removed when this process exits. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `event-base-${name}-`))
  folders.add(folder)
  return folder
}

/** Removes a folder of {@link temporaryFolder} before this process exits. */
export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  folders.delete(folder)
}

/** Ends the processes that have not ended, so that none keeps this process alive. */
export function endChildren(): void {
  for (const [child, signal] of children) child.kill(signal)
}

process.on('exit', () => {
  endChildren()
  groups.forEach(killGroup)
  folders.forEach(removeFolder)
})

/** Makes signals exit the process, so that the listeners of its `exit` event run. */
export function exitOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => process.exit(128 + constants.signals[signal]))
}
