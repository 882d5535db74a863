import { readFileSync } from 'node:fs'
import { constants } from 'node:os'

import { onTestFinished } from 'vitest'

export const { SIGUSR1, SIGUSR2, SIGCHLD, SIGHUP, SIGKILL, SIGSTOP } = constants.signals

/** Whether this process has a handler for a signal, as Linux tells it. Node has one for SIGUSR1. */
export function isCaught(number: number): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return ((BigInt(`0x${mask}`) >> BigInt(number - 1)) & 1n) === 1n
}

/** Sends a signal to this process. To one that is alone it has arrived when this returns. */
export function raise(signal: string | number, times = 1): void {
  for (let count = 0; count < times; count += 1) process.kill(process.pid, signal)
}

/** A listener of the host's own, taken away when the test is over. */
export function listen(signal: NodeJS.Signals, listener: () => void): () => void {
  const remove = (): void => {
    process.off(signal, listener)
  }
  process.on(signal, listener)
  onTestFinished(remove)
  return remove
}

/** Waits until `check` holds; gives up in time for the assertion behind it to say what does not. */
export async function until(check: () => boolean): Promise<void> {
  const end = performance.now() + 5_000
  while (!check() && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 2))
}
