/** Runs several calls, each of them even if another one throws. */

/**
 * Runs every call, and then throws if some calls have thrown: a single error unchanged, several errors as an
 * AggregateError that has the properties of the first one, such as `code`.
 *
 * @param message the message of the AggregateError
 */
export function callAll(message: string, calls: Iterable<() => void>): void {
  const errors: unknown[] = []
  for (const call of calls) {
    try {
      call()
    } catch (error) {
      if (error instanceof AggregateError) errors.push(...(error.errors as unknown[]))
      else errors.push(error)
    }
  }
  if (errors.length === 0) return
  const [first] = errors
  throw errors.length === 1 ? first : Object.assign(new AggregateError(errors, message), first)
}
