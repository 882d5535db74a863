import { setImmediate, setTimeout } from 'node:timers/promises'

/** Collects garbage, and lets finalizers run. */
export async function collect(): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    await setImmediate()
    globalThis.gc?.()
  }
  await setImmediate()
}

/** Milliseconds that garbage is collected for. Long: what compiles in the background holds on to objects too. */
const PATIENCE = 60_000

/**
 * Collects garbage until `isGone` holds, for a bounded time. Finalizers run in between.
 *
 * @returns whether it came to hold
 */
export async function collectUntil(isGone: () => boolean): Promise<boolean> {
  const giveUp = performance.now() + PATIENCE
  for (let round = 0; round < 30 || performance.now() < giveUp; round += 1) {
    if (round >= 30) await setTimeout(20)
    // Asking a WeakRef keeps its target alive until the end of the turn.
    await setImmediate()
    globalThis.gc?.()
    await setImmediate()
    if (isGone()) return true
  }
  return false
}
