/** Abort signals of this realm and of others, and objects that behave like them. */

import { wrongType } from './validate.js'

/** The members of an AbortSignal that are used here. */
export type AbortSource = Pick<AbortSignal, 'aborted' | 'reason' | 'addEventListener' | 'removeEventListener'>

/**
 * Checks an AbortSignal or `undefined`. Throws for an object without the members of an AbortSignal, before anything is
 * started.
 */
export function checkAbortSignal(name: string, value: AbortSource | undefined): AbortSource | undefined {
  if (value === undefined) return undefined
  const isAbortSignal =
    typeof value === 'object' &&
    value !== null &&
    typeof value.aborted === 'boolean' &&
    typeof value.addEventListener === 'function' &&
    typeof value.removeEventListener === 'function'
  if (!isAbortSignal) throw wrongType(name, 'an instance of AbortSignal', value)
  return value
}

/** Throws the reason of an abort signal that is aborted. */
export function throwIfAborted(signal: AbortSource | undefined): void {
  if (signal?.aborted === true) throw signal.reason as Error
}

/**
 * Calls `listener` with the reason when a signal that is not aborted yet is aborted.
 *
 * @returns a function that removes the listener
 */
export function onAbort(signal: AbortSource | undefined, listener: (reason: Error) => void): () => void {
  if (signal === undefined) return () => {}
  const call = (): void => listener(signal.reason as Error)
  signal.addEventListener('abort', call, { once: true })
  return () => signal.removeEventListener('abort', call)
}
