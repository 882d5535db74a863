/**
 * Signals in a process where Node handles signals too.
 *
 * The native handler calls the handler that was installed before it, so both Node's listeners and events receive a
 * signal. But libuv installs its own handler when Node gets its first listener for a signal, and resets the disposition
 * when the last one is removed. `newListener` and `removeListener` are emitted right after that, and the native layer
 * then installs its handler again.
 *
 * For SIGCHLD libuv does the same for each child process that starts and ends, unless Node has a listener for it. So a
 * listener that does nothing is added while a base has events for it.
 */

import { constants } from 'node:os'
import { isMainThread } from 'node:worker_threads'

import type { Core } from './core.js'
import { native } from './native.js'
import { checkInteger, outOfRange, wrongType } from './validate.js'

/**
 * A POSIX signal: one of the names that Node knows, as `process.on()` takes it, or a number. A name that the system does
 * not have, such as `'SIGBREAK'` outside Windows, is refused with `ERR_OUT_OF_RANGE`. Real-time signals have numbers only.
 */
export type Signal = NodeJS.Signals | number

const NUMBERS: Readonly<Record<string, number | undefined>> = constants.signals

/** The greatest number of a signal. */
const MOST = native.maxSignal()

/** Returns the number of a signal. `signal` is its name, or a number from `least` to `most`. */
export function signalNumber(signal: Signal, least = 1, most: number = MOST): number {
  if (typeof signal === 'number') return checkInteger('signal', signal, least, most)
  if (typeof signal !== 'string') throw wrongType('signal', 'of type string or number', signal)
  const number = Object.hasOwn(NUMBERS, signal) ? NUMBERS[signal] : undefined
  if (number === undefined) throw outOfRange('signal', 'the name of a signal', signal)
  return number
}

/** The name of the signal with a number; `undefined` if it has none. */
export function nameOfSignal(number: number): string | undefined {
  return Object.keys(NUMBERS).find((name) => NUMBERS[name] === number)
}

let isJoined = false

function rejoin(type: string | symbol): void {
  const number = typeof type === 'string' && Object.hasOwn(NUMBERS, type) ? NUMBERS[type] : undefined
  // With other listeners for the signal, Node changes nothing.
  if (number !== undefined && process.listenerCount(type) === 0) native.signalReassert(number)
}

/** Node's listeners for signals exist on its main thread only. */
function join(): void {
  if (isJoined || !isMainThread) return
  isJoined = true
  // Node added its own listeners earlier, so they run first.
  process.on('newListener', rejoin)
  process.on('removeListener', rejoin)
}

/** The bases that have, or had, events for SIGCHLD. */
const parents: Set<Core> = new Set()

function ignore(): void {}

/** Makes events for a signal work beside the host's listeners. Called when an event for the signal is made. */
export function shareSignal(core: Core, number: number): void {
  join()
  if (number === constants.signals.SIGCHLD && isMainThread && !parents.has(core)) {
    if (parents.size === 0) process.on('SIGCHLD', ignore)
    parents.add(core)
  }
}

/** Reverts {@link shareSignal} when a base is closed. */
export function unshareSignals(core: Core): void {
  if (parents.delete(core) && parents.size === 0) process.off('SIGCHLD', ignore)
}
