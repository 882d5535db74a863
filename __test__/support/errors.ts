import { expect, onTestFinished } from 'vitest'

import { EventError, type EventErrorCode, type SystemError } from '../../index.js'

/** The value that a call throws. */
export function thrownBy(call: () => unknown): unknown {
  let result: unknown
  try {
    result = call()
  } catch (error) {
    return error
  }
  throw new Error(`the call returned ${String(result)} and did not throw`)
}

/** The reason with which a promise rejects. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (reason: unknown) => ({ reason }),
  )
  if ('reason' in outcome) return outcome.reason
  throw new Error(`the promise was resolved with ${String(outcome.value)}`)
}

/** Expects an EventError, and returns its code. */
export function codeOf(error: unknown): EventErrorCode {
  expect(error).toBeInstanceOf(EventError)
  return (error as EventError).code
}

/** The code of the EventError that a call throws. */
export function refusal(call: () => unknown): EventErrorCode {
  return codeOf(thrownBy(call))
}

/** Expects an error of the operating system. */
export function asSystemError(error: unknown): SystemError {
  expect(error).toBeInstanceOf(Error)
  expect(error).not.toBeInstanceOf(EventError)
  return error as SystemError
}

/** The exceptions that are uncaught from now until the end of the test. They do not fail the test. */
export function collectUncaught(): unknown[] {
  const uncaught: unknown[] = []
  const replaced = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => uncaught.push(error))
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException')
    for (const listener of replaced) process.on('uncaughtException', listener)
  })
  return uncaught
}
