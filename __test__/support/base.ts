import { setImmediate, setTimeout } from 'node:timers/promises'

import { onTestFinished } from 'vitest'

import { EV, EventBase, type EventConfig } from '../../index.js'

/** A base that is closed when the test ends. */
export function openBase(config?: EventConfig): EventBase {
  const base = new EventBase(config)
  onTestFinished(() => base.close())
  return base
}

/** A callback of events that must not fire. */
export function never(): never {
  throw new Error('an event fired that must not')
}

/** Keeps this thread busy for a number of milliseconds, so that the loop is late. */
export function stall(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

/** Milliseconds that `until` waits: long, so that only a condition that never holds takes them. */
const PATIENCE = 100_000

/** Waits until `check` returns true, and throws after a long time if it does not. */
export async function until(check: () => boolean, what = 'the condition'): Promise<void> {
  const giveUp = performance.now() + PATIENCE
  while (!check()) {
    if (performance.now() > giveUp) throw new Error(`${what} does not hold`)
    await setTimeout(2)
  }
}

/** Waits until a base under `run()` has polled its backend and run the events that were ready. */
export async function afterPass(base: EventBase): Promise<void> {
  await new Promise<void>((resolve) => {
    base.once(-1, EV.TIMEOUT, () => resolve(), 0)
  })
  // The host runs, and the base sleeps again.
  await setImmediate()
}

/** The factors by which a test is slowed down that a busy machine may be too slow for. */
export const PACES = [1, 2, 4, 8, 16, 32] as const

/**
 * Repeats a test that a busy machine may be too slow for at a slower and slower pace. Throws if no pace is slow enough.
 *
 * @param attempt runs the test, slowed down by the factor `pace`, and returns whether the machine was fast enough
 */
export async function atSomePace(attempt: (pace: number) => boolean | Promise<boolean>): Promise<void> {
  for (const pace of PACES) if (await attempt(pace)) return
  throw new Error('the machine is too slow at every pace')
}

/** The features of the default backend. Can be called outside tests. */
export function featuresHere(): number {
  const base = new EventBase()
  const { features } = base
  base.close()
  return features
}
