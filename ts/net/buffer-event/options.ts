/** The options of a buffer event, and their checks. */

import { EV } from '../../constants.js'
import {
  checkBits,
  checkBoolean,
  checkCallback,
  checkInteger,
  checkTimeout,
  outOfRange,
} from '../../validate.js'
import type { DirectionLimit } from './buckets.js'
import type { BufferEvent } from './buffer-event.js'
import type { StreamCallbacks } from './callbacks.js'
import type { Flow } from './flow.js'
import type { BufferEventGroup } from './limits.js'

/** Watermarks, in bytes. */
export interface Watermarks {
  /**
   * `onRead` is called when the input has at least this many bytes. Default 0: it is called whenever bytes were
   * received.
   */
  readLow?: number | undefined
  /** Reading pauses while the input has at least this many bytes. Default 0: no limit. */
  readHigh?: number | undefined
  /**
   * `onWrite` is called when the output has at most this many bytes. Default 0: it is called when all bytes are
   * written.
   */
  writeLow?: number | undefined
}

/** Timeouts of the directions in milliseconds. By default, and with 0, a direction has no timeout. */
export interface Timeouts {
  /** Runs while reading is enabled; counts from the last received bytes or from the start of reading. */
  readTimeout?: number | undefined
  /** Runs while there are bytes to write; counts from the last sent bytes or from when the bytes were added. */
  writeTimeout?: number | undefined
}

/** The maximum size of one read and one write, in bytes. */
export interface Caps {
  /** The maximum of one read. Default 16384; above 1 MiB a read takes 1 MiB. */
  maxSingleRead?: number | undefined
  /** The maximum of one write. Default 262144. */
  maxSingleWrite?: number | undefined
}

/** The callbacks. An exception is handled in the same way as one of an event's callback; the stream stays usable. */
export type BufferEventCallbacks = StreamCallbacks<BufferEvent>

/** Options of a buffer event. */
export interface BufferEventOptions extends BufferEventCallbacks, Watermarks, Timeouts, Caps {
  /**
   * Runs callbacks from a separate event, never within {@link BufferEvent.trigger} or a read
   * (`BEV_OPT_DEFER_CALLBACKS`). Default `false`.
   */
  deferCallbacks?: boolean | undefined
  /** Closes the descriptor with the stream (`BEV_OPT_CLOSE_ON_FREE`). Default `true`. */
  closeOnFree?: boolean | undefined
  /** The stream's own limit: see {@link BufferEvent.setLimit}. */
  limit?: DirectionLimit | undefined
  /** A group whose members share a limit: see {@link BufferEvent.joinGroup}. */
  group?: BufferEventGroup | undefined
  /** The priority of its events; 0 is the most urgent. Default: the middle one of the base's priorities. */
  priority?: number | undefined
}

/** Both directions. */
const BOTH = EV.READ | EV.WRITE
const MOST = Number.MAX_SAFE_INTEGER
const MOST_AT_ONCE = 0x7fff_ffff

/** One or both directions. */
export function checkDirections(what: number): number {
  return checkBits('what', what, BOTH)
}

/** Sets the watermarks that are given. */
export function applyWatermarks(flow: Flow, marks: Watermarks): void {
  const { readLow = flow.readLow, readHigh = flow.readHigh, writeLow = flow.writeLow } = marks
  checkInteger('readLow', readLow, 0, MOST)
  checkInteger('readHigh', readHigh, 0, MOST)
  checkInteger('writeLow', writeLow, 0, MOST)
  if (readHigh !== 0 && readLow > readHigh) {
    throw outOfRange('readLow', `<= readHigh, which is ${readHigh}`, readLow)
  }
  flow.readLow = readLow
  flow.readHigh = readHigh
  flow.writeLow = writeLow
}

function checkTime(name: string, value: number | undefined, before: number | undefined): number | undefined {
  if (value === undefined) return before
  return checkTimeout(name, value) === 0 ? undefined : value
}

/** Sets the timeouts that are given. */
export function applyTimeouts(flow: Flow, timeouts: Timeouts): void {
  const readTimeout = checkTime('readTimeout', timeouts.readTimeout, flow.readTimeout)
  const writeTimeout = checkTime('writeTimeout', timeouts.writeTimeout, flow.writeTimeout)
  flow.readTimeout = readTimeout
  flow.writeTimeout = writeTimeout
}

/** Sets the caps that are given. */
export function applyCaps(flow: Flow, caps: Caps): void {
  const { maxSingleRead = flow.maxSingleRead, maxSingleWrite = flow.maxSingleWrite } = caps
  checkInteger('maxSingleRead', maxSingleRead, 1, MOST_AT_ONCE)
  checkInteger('maxSingleWrite', maxSingleWrite, 1, MOST_AT_ONCE)
  flow.maxSingleRead = maxSingleRead
  flow.maxSingleWrite = maxSingleWrite
}

/** Checks the callbacks that are given, and returns them. */
export function checkCallbacks({ onRead, onWrite, onEvent }: BufferEventCallbacks): BufferEventCallbacks {
  if (onRead !== undefined) checkCallback('onRead', onRead)
  if (onWrite !== undefined) checkCallback('onWrite', onWrite)
  if (onEvent !== undefined) checkCallback('onEvent', onEvent)
  return { onRead, onWrite, onEvent }
}

/** Checks a boolean whose default is `true`. */
export function checkSwitchedOn(name: string, value: boolean | undefined): boolean {
  return value === undefined || checkBoolean(name, value)
}
