import { setImmediate } from 'node:timers/promises'

/**
 * Collects garbage until `isGone` holds, a bounded number of times. Finalizers run in between.
 *
 * @returns whether it came to hold
 */
export async function collectUntil(isGone: () => boolean): Promise<boolean> {
  for (let round = 0; round < 50; round += 1) {
    globalThis.gc?.()
    await setImmediate()
    if (isGone()) return true
  }
  return false
}
