/**
 * Messages of the engine: fetched when nothing else is under way, then published and told.
 *
 * They are fetched after a base was made, when the blocking loop comes up for them, when the host's loop rings for
 * them, and when the process ends.
 */

import type { Method } from './constants.js'
import { type LogMessage, type LogSeverity, logChannel } from './diagnostics.js'
import type { EventBase } from './event-base.js'
import { native, type NativeHandle } from './native.js'
import { checkCallback } from './validate.js'
import { WeakValues } from './weak-values.js'

/** By the engine's numbers. */
const SEVERITIES: readonly LogSeverity[] = Object.freeze(['debug', 'message', 'warning', 'error'])

/** libevent's words. */
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
 * Has every message of this thread's bases told to `listener` from now on (`event_set_log_callback`). Without one,
 * which is how it begins, they go to the standard error as `[warn] …`, all but those of severity `debug`.
 *
 * What arises on a native thread, or while the loop blocks, is told as soon as JavaScript can run without
 * disturbing anything. Each worker has a callback of its own and hears of its own bases. What the callback throws is
 * an uncaught exception. The channel `event-base:log` of `node:diagnostics_channel` bears the same messages,
 * whatever the callback is.
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

/** Begins to hear of messages, before the first base of this thread is made. */
export function listen(): void {
  if (isListening) return
  isListening = true
  native.logStart(fetchMessages)
  process.on('exit', fetchMessages)
}

/** Lets messages about a base name it. */
export function introduce(handle: NativeHandle, base: EventBase): void {
  bases.set(handle, base)
  forgotten.register(base, handle, base)
}

/** The base is closed. */
export function forget(handle: NativeHandle, base: EventBase): void {
  bases.delete(handle)
  forgotten.unregister(base)
}

/** Tells what there is to tell. */
export function fetchMessages(): void {
  for (const { severity, text, base, method } of native.logTake()) {
    tell({
      severity: SEVERITIES[severity] ?? 'error',
      message: text,
      base: bases.get(base),
      method: method as Method | undefined,
    })
  }
}

function tell(message: LogMessage): void {
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
    // As the channels do it: whoever is in the middle of something is not the one to be told.
    process.nextTick(() => {
      throw error
    })
  }
}
