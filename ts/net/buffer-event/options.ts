/** How a buffer event is made, and the checks of what it is given. */

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

/** How much is waited for, in bytes. */
export interface Watermarks {
  /** `onRead` comes when there are so many bytes, or more. Default 0: whenever bytes came. */
  readLow?: number | undefined
  /** While there are so many bytes, nothing more is read. Default 0: there is no such number. */
  readHigh?: number | undefined
  /** `onWrite` comes when so many bytes are left to write, or fewer. Default 0: when all are written. */
  writeLow?: number | undefined
}

/** How long a direction may rest, in milliseconds; 0 for ever, which is the default. */
export interface Timeouts {
  /** While reading: since bytes came last, or reading began. */
  readTimeout?: number | undefined
  /** While there is something to write: since bytes left last, or it was added. */
  writeTimeout?: number | undefined
}

/** How much is moved in one go, in bytes. */
export interface Caps {
  /** Read at once. Default 16384. */
  maxSingleRead?: number | undefined
  /** Written at once. Default 262144. */
  maxSingleWrite?: number | undefined
}

/** The callbacks. What one of them throws goes where an event's callback's would; the stream stays usable. */
export type BufferEventCallbacks = StreamCallbacks<BufferEvent>

/** How a buffer event is made. */
export interface BufferEventOptions extends BufferEventCallbacks, Watermarks, Timeouts, Caps {
  /**
   * Calls back from an event of its own, never from within {@link BufferEvent.trigger} or where bytes come in
   * (`BEV_OPT_DEFER_CALLBACKS`). Default `false`.
   */
  deferCallbacks?: boolean | undefined
  /** Closes the descriptor with the stream (`BEV_OPT_CLOSE_ON_FREE`). Default `true`. */
  closeOnFree?: boolean | undefined
  /** A limit of its own: see {@link BufferEvent.setLimit}. */
  limit?: DirectionLimit | undefined
  /** A group to share a limit with: see {@link BufferEvent.joinGroup}. */
  group?: BufferEventGroup | undefined
  /** The priority of its events; 0 is the most urgent. Default: the middle one of the base's. */
  priority?: number | undefined
}

/** Both directions. */
const BOTH = EV.READ | EV.WRITE
const MOST = Number.MAX_SAFE_INTEGER
const MOST_AT_ONCE = 0x7fff_ffff

/** Directions, one or both. */
export function checkDirections(what: number): number {
  return checkBits('what', what, BOTH)
}

/** Sets those watermarks that are given. */
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

function checkRest(name: string, value: number | undefined, before: number | undefined): number | undefined {
  if (value === undefined) return before
  return checkTimeout(name, value) === 0 ? undefined : value
}

/** Sets those timeouts that are given. */
export function applyTimeouts(flow: Flow, timeouts: Timeouts): void {
  const readTimeout = checkRest('readTimeout', timeouts.readTimeout, flow.readTimeout)
  const writeTimeout = checkRest('writeTimeout', timeouts.writeTimeout, flow.writeTimeout)
  flow.readTimeout = readTimeout
  flow.writeTimeout = writeTimeout
}

/** Sets those caps that are given. */
export function applyCaps(flow: Flow, caps: Caps): void {
  const { maxSingleRead = flow.maxSingleRead, maxSingleWrite = flow.maxSingleWrite } = caps
  checkInteger('maxSingleRead', maxSingleRead, 1, MOST_AT_ONCE)
  checkInteger('maxSingleWrite', maxSingleWrite, 1, MOST_AT_ONCE)
  flow.maxSingleRead = maxSingleRead
  flow.maxSingleWrite = maxSingleWrite
}

/** The callbacks that are given. */
export function checkCallbacks({ onRead, onWrite, onEvent }: BufferEventCallbacks): BufferEventCallbacks {
  if (onRead !== undefined) checkCallback('onRead', onRead)
  if (onWrite !== undefined) checkCallback('onWrite', onWrite)
  if (onEvent !== undefined) checkCallback('onEvent', onEvent)
  return { onRead, onWrite, onEvent }
}

/** `true` unless it is given as `false`. */
export function checkSwitchedOn(name: string, value: boolean | undefined): boolean {
  return value === undefined || checkBoolean(name, value)
}
