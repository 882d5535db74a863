import { setImmediate } from 'node:timers/promises'

/** Collects garbage, and lets finalizers run. */
export async function collect(): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    await setImmediate()
    globalThis.gc?.()
  }
  await setImmediate()
}

/**
 * Collects garbage until `isGone` holds, a bounded number of times. Finalizers run in between.
 *
 * @returns whether it came to hold
 */
export async function collectUntil(isGone: () => boolean): Promise<boolean> {
  for (let round = 0; round < 30; round += 1) {
    // Asking a WeakRef keeps its target alive until the end of the turn.
    await setImmediate()
    globalThis.gc?.()
    await setImmediate()
    if (isGone()) return true
  }
  return false
}
