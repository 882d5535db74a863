/**
 * Signals beside the host's own.
 *
 * The native handler calls the one that was there before it, so Node's listeners and events both hear a signal. But
 * libuv, which knows of nobody else, replaces what is installed when Node gets its first listener for a signal, and
 * resets it when the last one goes. Either is told to whoever listens, right after it happened, and the native layer
 * then takes its place again.
 *
 * For SIGCHLD libuv does the same with each child that starts and ends, unless Node has a listener for it. So it gets
 * one, which does nothing, while a base has events for it.
 */

import { constants } from 'node:os'
import { isMainThread } from 'node:worker_threads'

import type { Core } from './core.js'
import { native } from './native.js'
import { checkInteger, outOfRange, wrongType } from './validate.js'

/** A signal by its name, as `process.on()` takes it, or by its number. */
export type Signal = `SIG${string}` | number

const NUMBERS: Readonly<Record<string, number | undefined>> = constants.signals

/** The numbers of signals end here. */
const MOST = native.maxSignal()

/** The number of a signal that is named, or a number from `least` to `most`. */
export function signalNumber(signal: Signal, least = 1, most: number = MOST): number {
  if (typeof signal === 'number') return checkInteger('signal', signal, least, most)
  if (typeof signal !== 'string') throw wrongType('signal', 'of type string or number', signal)
  const number = Object.hasOwn(NUMBERS, signal) ? NUMBERS[signal] : undefined
  if (number === undefined) throw outOfRange('signal', 'the name of a signal', signal)
  return number
}

let isJoined = false

function rejoin(type: string | symbol): void {
  const number = typeof type === 'string' && Object.hasOwn(NUMBERS, type) ? NUMBERS[type] : undefined
  if (number !== undefined) native.signalReassert(number)
}

/** Node registers signals on its main thread only. */
function join(): void {
  if (isJoined || !isMainThread) return
  isJoined = true
  // Behind Node's own listeners, which were there first.
  process.on('newListener', rejoin)
  process.on('removeListener', rejoin)
}

/** The bases that have, or had, events for SIGCHLD. */
const parents: Set<Core> = new Set()

function hearNothing(): void {}

/** Lets events for a signal live beside the host. Called before the first one is made. */
export function shareSignal(core: Core, number: number): void {
  join()
  if (number === constants.signals.SIGCHLD && isMainThread && !parents.has(core)) {
    if (parents.size === 0) process.on('SIGCHLD', hearNothing)
    parents.add(core)
  }
}

/** Takes {@link shareSignal} back when a base is closed. */
export function unshareSignals(core: Core): void {
  if (parents.delete(core) && parents.size === 0) process.off('SIGCHLD', hearNothing)
}
