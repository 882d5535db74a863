/** Runs several calls, each of them even if another one throws. */

/** The errors that each AggregateError of {@link callAll} combines. */
const combined: WeakMap<object, readonly unknown[]> = new WeakMap()

/**
 * Runs every call, and then throws if some calls have thrown: a single error unchanged, several errors as an
 * AggregateError that has the properties of the first one, such as `code`. Errors that a nested `callAll` has combined
 * count one by one.
 *
 * @param message the message of the AggregateError
 */
export function callAll(message: string, calls: Iterable<() => void>): void {
  const errors: unknown[] = []
  for (const call of calls) {
    try {
      call()
    } catch (error) {
      errors.push(...(combined.get(error as object) ?? [error]))
    }
  }
  if (errors.length === 0) return
  const [first] = errors
  if (errors.length === 1) throw first
  const properties = typeof first === 'object' ? first : undefined
  const failure = Object.assign(new AggregateError(errors, message), properties)
  combined.set(failure, errors)
  throw failure
}
