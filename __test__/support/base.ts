import { setImmediate, setTimeout } from 'node:timers/promises'

import { onTestFinished } from 'vitest'

import { EV, EventBase, type EventConfig } from '../../index.js'

/** A base that is closed when the test is over. */
export function openBase(config?: EventConfig): EventBase {
  const base = new EventBase(config)
  onTestFinished(() => base.close())
  return base
}

/** A callback for events that must not fire. */
export function never(): never {
  throw new Error('an event fired that must not')
}

/** Keeps this thread busy for some milliseconds, so that the loop is late. */
export function stall(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

/** Milliseconds that a condition is waited for. Long: only what never comes true takes them. */
const PATIENCE = 100_000

/** Waits until `check` is true, and fails where that does not happen. */
export async function until(check: () => boolean, what = 'the condition'): Promise<void> {
  const giveUp = performance.now() + PATIENCE
  while (!check()) {
    if (performance.now() > giveUp) throw new Error(`${what} did not come true`)
    await setTimeout(2)
  }
}

/** Waits until a base that is run has polled its backend, and has run what it found ready. */
export async function afterPass(base: EventBase): Promise<void> {
  await new Promise<void>((resolve) => {
    base.once(-1, EV.TIMEOUT, () => resolve(), 0)
  })
  // The host has its turn, and the base has gone to sleep again.
  await setImmediate()
}

/** How much slower than at first a test is tried that a busy machine may be too slow for. */
export const PACES = [1, 2, 4, 8, 16, 32] as const

/**
 * Tries what a busy machine may be too slow for at a slower and slower pace. Fails where no pace will do.
 *
 * @param attempt does it, so many times slower than at first, and says whether it was fast enough
 */
export async function atSomePace(attempt: (pace: number) => boolean | Promise<boolean>): Promise<void> {
  for (const pace of PACES) if (await attempt(pace)) return
  throw new Error('too slow, at whatever pace')
}

/** What the backend of this machine can do; callable outside tests. */
export function featuresHere(): number {
  const base = new EventBase()
  const { features } = base
  base.close()
  return features
}
