import { constants } from 'node:os'

import { onTestFinished } from 'vitest'

export const { SIGUSR1, SIGUSR2, SIGCHLD, SIGHUP, SIGKILL, SIGSTOP, SIGURG } = constants.signals

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
