/**
 * Messages of the engine: fetched while no other call of this package is in progress, then published and reported.
 *
 * They are fetched after a base was made, when the blocking loop returns to JavaScript for them, when the host's loop
 * is woken for them, and when the process ends.
 */

import type { Method } from './constants.js'
import { type LogMessage, type LogSeverity, logChannel } from './diagnostics.js'
import type { EventBase } from './event-base.js'
import { native, type NativeHandle } from './native.js'
import { checkCallback } from './validate.js'
import { WeakValues } from './weak-values.js'

/** By the engine's numbers. */
const SEVERITIES: readonly LogSeverity[] = Object.freeze(['debug', 'message', 'warning', 'error'])

/** libevent's names for them. */
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
 * Sets the callback that receives every message of this thread's bases (`event_set_log_callback`). Without one, which is
 * the default, messages are written to the standard error as `[warn] …`, except those of severity `debug`.
 *
 * A message of a native thread, or of a loop that blocks, is reported as soon as JavaScript can run without interrupting
 * another call. Each worker has its own callback, for its own bases. An exception of the callback is an uncaught
 * exception. The channel `event-base:log` of `node:diagnostics_channel` carries the same messages, with or without a
 * callback.
 *
 * ```ts
 * import { setLogCallback } from 'event-base'
 *
 * setLogCallback(({ severity, message }) => console.error(severity, message))
 * setLogCallback(undefined)
 * ```
 *
 * @param listener called with each message; `undefined` for the standard error
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

/** Ends what {@link introduce} started, when the base is closed. */
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
    // As the channels do: the exception must not end the call that is in progress.
    process.nextTick(() => {
      throw error
    })
  }
}
