import { readFileSync } from 'node:fs'
import { constants } from 'node:os'

import { onTestFinished } from 'vitest'

export const { SIGUSR1, SIGUSR2, SIGCHLD, SIGHUP, SIGKILL, SIGSTOP } = constants.signals

/** Whether this process has a handler for a signal, from `/proc/self/status` on Linux. Node has one for SIGUSR1. */
export function isCaught(number: number): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return ((BigInt(`0x${mask}`) >> BigInt(number - 1)) & 1n) === 1n
}

/** Sends a signal to this process. If no other thread can receive it, it has arrived when this returns. */
export function raise(signal: string | number, times = 1): void {
  for (let count = 0; count < times; count += 1) process.kill(process.pid, signal)
}

/** A `process.on()` listener that is removed at the end of the test. */
export function listen(signal: NodeJS.Signals, listener: () => void): () => void {
  const remove = (): void => {
    process.off(signal, listener)
  }
  process.on(signal, listener)
  onTestFinished(remove)
  return remove
}
