import { onTestFinished } from 'vitest'

import { EventBase, type EventConfig } from '../../index.js'

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

/** What the backend of this machine can do; callable outside tests. */
export function featuresHere(): number {
  const base = new EventBase()
  const { features } = base
  base.close()
  return features
}
