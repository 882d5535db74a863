import { setImmediate, setTimeout } from 'node:timers/promises'

/** Collects garbage, and lets finalizers run. */
export async function collect(): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    await setImmediate()
    globalThis.gc?.()
  }
  await setImmediate()
}

/** Milliseconds for which garbage is collected: long, because compilation in the background keeps objects alive too. */
const PATIENCE = 60_000

/**
 * Collects garbage until `isGone` holds, for a bounded time. Finalizers run in between.
 *
 * @returns whether `isGone` returned true
 */
export async function collectUntil(isGone: () => boolean): Promise<boolean> {
  const giveUp = performance.now() + PATIENCE
  for (let round = 0; round < 30 || performance.now() < giveUp; round += 1) {
    if (round >= 30) await setTimeout(20)
    // Dereferencing a WeakRef keeps its target alive until the end of the job.
    await setImmediate()
    globalThis.gc?.()
    await setImmediate()
    if (isGone()) return true
  }
  return false
}
