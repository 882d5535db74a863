/**
 * The one door to the native layer. Nothing else imports `#binding`.
 *
 * What arrives there was checked: the native layer converts numbers without looking at them.
 */

import * as binding from '#binding'

import { errorFromNative } from './errors.js'

binding.setErrorFactory(errorFromNative)

export { binding as native }

/** The calls that are made for every event. */
export const crossing: binding.Crossing = binding.crossing()

/** What keeps a native base alive. */
export type NativeOwner = ReturnType<typeof binding.createBase>

/** What a thread has of another one's native base. */
export type NativeRemote = ReturnType<typeof binding.remoteConnect>

/** What names a native base in a call. */
export type NativeHandle = binding.Handle

/** The slots of events are below this; a code that bears it is one of {@link StepCode}. */
export const NO_SLOT = 0xff_ffff

/** In a code's upper byte: the native event is gone, and its slot may be another's. */
export const RELEASED = 0x10

/** The whole upper byte of a code whose event is gone without having fired. */
export const ORPHANED = 0x30

/** What a code means that names no event: why the loop returns it. */
export const StepCode: Readonly<{
  STOPPED: 0
  EMPTY: 1
  HOST: 2
  FAILED: 3
  NET: 4
  PREPARE: 5
  CHECK: 6
}> = Object.freeze({
  /** The loop has ended: exit, break, ONCE or NONBLOCK. */
  STOPPED: 0,
  /** The loop has ended: no event is left to wait for. */
  EMPTY: 1,
  /** The host's own loop has work; the loop goes on. */
  HOST: 2,
  /** The loop has ended: the wait failed. */
  FAILED: 3,
  /** A listener, a connect or a relay has a completion; the loop goes on. */
  NET: 4,
  /** A prepare watcher runs before the wait; the loop goes on. */
  PREPARE: 5,
  /** A check watcher runs after the wait; the loop goes on. */
  CHECK: 6,
})

/** Whether a step code concerns a watcher. */
export function isWatcherStep(step: number): boolean {
  return step === StepCode.PREPARE || step === StepCode.CHECK
}

/** A negative duration means none to the native layer. */
export const NO_TIMEOUT = -1
