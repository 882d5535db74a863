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

/** The slots of events are below this; a code that bears it is one of {@link Signal}. */
export const NO_SLOT = 0xff_ffff

/** In a code's upper byte: the native event is gone, and its slot may be another's. */
export const RELEASED = 0x10

/** The whole upper byte of a code whose event is gone without having fired. */
export const ORPHANED = 0x30

/** What a code says when it names no event. */
export const Signal: Readonly<{
  STOPPED: 0
  EMPTY: 1
  HOST: 2
  FAILED: 3
  NET: 4
  PREPARE: 5
  CHECK: 6
}> = Object.freeze({
  STOPPED: 0,
  EMPTY: 1,
  HOST: 2,
  FAILED: 3,
  /** Something happened to a listener, a connect or a relay; the loop goes on. */
  NET: 4,
  /** A watcher is told before the wait; the loop goes on. */
  PREPARE: 5,
  /** A watcher is told after the wait; the loop goes on. */
  CHECK: 6,
})

/** Whether a signal concerns a watcher. */
export function isWatcherSignal(signal: number): boolean {
  return signal === Signal.PREPARE || signal === Signal.CHECK
}

/** A negative duration means none to the native layer. */
export const NO_TIMEOUT = -1
