/**
 * Messages of the engine. They are fetched while no other call of this package is in progress, then published and
 * reported.
 *
 * This happens after a base was made, when the blocking loop returns to JavaScript because of them, when they wake the
 * host's loop, and when the process ends.
 */

import type { Method } from './constants.js'
import { type LogMessage, type LogSeverity, logChannel } from './diagnostics.js'
import type { EventBase } from './event-base.js'
import { native, type NativeHandle } from './native.js'
import { checkCallback } from './validate.js'
import { WeakValues } from './weak-values.js'

/** The severities, indexed by the numbers of the engine. */
const SEVERITIES: readonly LogSeverity[] = Object.freeze(['debug', 'message', 'warning', 'error'])

/** libevent's names for the severities. */
const WORDS: Readonly<Record<LogSeverity, string>> = Object.freeze({
  debug: 'debug',
  message: 'msg',
  warning: 'warn',
  error: 'err',
})

const bases = new WeakValues<EventBase>()
const forgotten = new FinalizationRegistry<NativeHandle>((handle) => bases.delete(handle))

let callback: ((message: LogMessage) => void) | undefined
let isListening = false

/**
 * Sets the callback that receives every message of this thread's bases (`event_set_log_callback`). By default there is
 * no callback: messages are written to the standard error as `[warn] …`, except those of severity `debug`.
 *
 * A message of a native thread, or of a loop that blocks, is reported as soon as JavaScript can run without
 * interrupting another call. Each worker has its own callback, for its own bases. If the callback throws, the exception
 * is uncaught. The channel `event-base:log` of `node:diagnostics_channel` carries the same messages, with or without a
 * callback.
 *
 * ```ts
 * import { setLogCallback } from 'event-base'
 *
 * setLogCallback(({ severity, message }) => console.error(severity, message))
 * setLogCallback(undefined)
 * ```
 *
 * @param listener called with each message; `undefined` writes messages to the standard error again
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`
 */
export function setLogCallback(listener: ((message: LogMessage) => void) | undefined): void {
  callback = listener === undefined ? undefined : checkCallback('listener', listener)
}

/** Starts to collect messages, before the first base of this thread is made. */
export function listen(): void {
  if (isListening) return
  isListening = true
  native.logStart(fetchMessages)
  process.on('exit', fetchMessages)
}

/** Makes messages that concern a base refer to it. */
export function introduce(handle: NativeHandle, base: EventBase): void {
  bases.set(handle, base)
  forgotten.register(base, handle, base)
}

/** Reverts {@link introduce} when the base is closed. */
export function forget(handle: NativeHandle, base: EventBase): void {
  bases.delete(handle)
  forgotten.unregister(base)
}

/** Reports the messages that were collected. */
export function fetchMessages(): void {
  for (const { severity, text, base, method } of native.logTake()) {
    report({
      severity: SEVERITIES[severity] ?? 'error',
      message: text,
      base: bases.get(base),
      method: method as Method | undefined,
    })
  }
}

function report(message: LogMessage): void {
  if (logChannel.hasSubscribers) logChannel.publish(message)
  if (callback === undefined) {
    if (message.severity !== 'debug') {
      process.stderr.write(`[${WORDS[message.severity]}] ${message.message}\n`)
    }
    return
  }
  try {
    callback(message)
  } catch (error) {
    // The exception must not end the call that is in progress. `diagnostics_channel` does the same.
    process.nextTick(() => {
      throw error
    })
  }
}
