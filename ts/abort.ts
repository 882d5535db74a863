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

/** The reason of an abort; the exception of an object whose reason cannot be read. */
function reasonOf(signal: AbortSource): Error {
  try {
    return signal.reason as Error
  } catch (error) {
    return error as Error
  }
}

/**
 * Calls `listener` with the reason when a signal that is not aborted yet is aborted. Throws the exception of
 * `addEventListener`, and the reason of a signal that calls its listener during that call; `listener` is then never
 * called.
 *
 * @returns a function that removes the listener, which is never called afterwards. An exception of
 *   `removeEventListener` becomes an uncaught exception in the next tick
 */
export function onAbort(signal: AbortSource | undefined, listener: (reason: Error) => void): () => void {
  if (signal === undefined) return () => {}
  let isActive = false
  let isEarly = false
  const call = (): void => {
    if (isActive) listener(reasonOf(signal))
    else isEarly = true
  }
  const remove = (): void => {
    isActive = false
    try {
      signal.removeEventListener('abort', call)
    } catch (error) {
      process.nextTick(() => {
        throw error
      })
    }
  }
  signal.addEventListener('abort', call, { once: true })
  if (isEarly) {
    remove()
    throw reasonOf(signal)
  }
  isActive = true
  return remove
}
