/**
 * The native layer. No other file loads the addon.
 *
 * Arguments must be checked before they are passed: the native layer converts numbers without checking their range. All
 * properties of an object must be its own properties.
 */

import { types } from 'node:util'

import type * as Binding from '#binding'

import { loadAddon } from './addon/load.js'
import { errorFromNative } from './errors.js'

const binding = loadAddon() as typeof Binding

binding.setErrorFactory(errorFromNative)

/** The calls of the native layer, which return an error, in a form that throws it. */
type Throwing<Calls> = {
  readonly [Name in keyof Calls]: Calls[Name] extends (...args: infer Arguments) => infer Result
    ? (...args: Arguments) => Exclude<Result, Error>
    : Calls[Name]
}

type Call = (...args: never[]) => unknown

function throwing(call: Call): Call {
  return (...args) => {
    const result = call(...args)
    // `instanceof` is false for errors of another realm, in which a test runner may run this file.
    if (typeof result === 'object' && types.isNativeError(result)) throw result
    return result
  }
}

type Native = Omit<Throwing<typeof Binding>, 'netFailure'> & Pick<typeof Binding, 'netFailure'>

const calls = Object.entries(binding).map(([name, value]) =>
  // The result of `netFailure` is an error, which is not thrown.
  typeof value === 'function' && name !== 'netFailure' ? [name, throwing(value as Call)] : [name, value],
)

/** The calls of the native layer that are less frequent than those of {@link crossing}. */
export const native: Native = Object.fromEntries(calls) as Native

const raw = binding.crossing()

/** An error is the only object that these calls return. */
function checked<T>(result: T | Error): T {
  if (typeof result === 'object') throw result
  return result
}

/** The calls that are made for every event or piece of data. */
export const crossing: Throwing<Binding.Crossing> = {
  loopEnter: (handle, flags) => checked(raw.loopEnter(handle, flags)),
  loopLeave: (handle) => checked(raw.loopLeave(handle)),
  loopNext: (handle) => checked(raw.loopNext(handle)),
  loopWatcher: (handle) => checked(raw.loopWatcher(handle)),
  loopWait: (handle) => checked(raw.loopWait(handle)),
  eventCreate: (handle, fd, bits, age) => checked(raw.eventCreate(handle, fd, bits, age)),
  eventCreateAndAdd: (handle, fd, bits, age, timeout) =>
    checked(raw.eventCreateAndAdd(handle, fd, bits, age, timeout)),
  eventAdd: (handle, event, timeout) => checked(raw.eventAdd(handle, event, timeout)),
  eventDel: (handle, event) => checked(raw.eventDel(handle, event)),
  eventFree: (handle, event) => checked(raw.eventFree(handle, event)),
  eventActivate: (handle, event, what) => checked(raw.eventActivate(handle, event, what)),
  eventPending: (handle, event, mask) => checked(raw.eventPending(handle, event, mask)),
  netCompletion: (handle, numbers) => checked(raw.netCompletion(handle, numbers)),
  netRelay: (handle, a, b, idleTimeout, halfCloseTimeout, connectTimeout) =>
    checked(raw.netRelay(handle, a, b, idleTimeout, halfCloseTimeout, connectTimeout)),
  ownDescriptor: (handle, fd, hasEnded) => checked(raw.ownDescriptor(handle, fd, hasEnded)),
  disownDescriptor: (handle, fd) => checked(raw.disownDescriptor(handle, fd)),
  socketRead: (fd, buffer, offset, length) => checked(raw.socketRead(fd, buffer, offset, length)),
  socketWrite: (fd, buffer, offset, length) => checked(raw.socketWrite(fd, buffer, offset, length)),
  socketWriteMany: (fd, buffers, most) => checked(raw.socketWriteMany(fd, buffers, most)),
  socketPeek: (fd, buffer, offset, length) => checked(raw.socketPeek(fd, buffer, offset, length)),
  datagramReceive: (fd, slots, size, count, records) =>
    checked(raw.datagramReceive(fd, slots, size, count, records)),
  datagramSend: (fd, slots, size, from, count, records) =>
    checked(raw.datagramSend(fd, slots, size, from, count, records)),
}

/** The object that owns a native base. */
export type NativeOwner = ReturnType<typeof native.createBase>

/** The handle of a thread to a native base of another thread. */
export type NativeRemote = ReturnType<typeof native.remoteConnect>

/** An address as the native layer takes and returns it: a host and a port, or a path and the port -1. */
export type NativeAddress = Binding.BindingAddress

/** The number that names a native base in a call. */
export type NativeHandle = Binding.Handle

/** The slots of events are below this; a code with this slot is one of {@link StepCode}. */
export const NO_SLOT = 0xff_ffff

/** A bit in the upper byte of a code: the native event was released, and another event may have its slot. */
export const RELEASED = 0x10

/** The upper byte of a code whose event was released without firing. */
export const ORPHANED = 0x30

/** The codes that name no event: the reasons why the loop returns. */
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
  /** The host's own loop has work; the loop continues. */
  HOST: 2,
  /** The loop has ended: the wait failed. */
  FAILED: 3,
  /** A listener, a connect or a relay has a completion; the loop continues. */
  NET: 4,
  /** A prepare watcher runs before the wait; the loop continues. */
  PREPARE: 5,
  /** A check watcher runs after the wait; the loop continues. */
  CHECK: 6,
})

/** Whether a step code concerns a watcher. */
export function isWatcherStep(step: number): boolean {
  return step === StepCode.PREPARE || step === StepCode.CHECK
}

/** In the native layer a negative duration means no duration. */
export const NO_TIMEOUT = -1
