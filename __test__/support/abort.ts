/** An object that behaves like an AbortSignal, but throws when a listener is removed. */
export class StickySignal {
  aborted = false
  reason: unknown
  readonly failure: Error = new Error('listeners cannot be removed')
  readonly #listeners: (() => void)[] = []

  addEventListener(_type: string, listener: () => void): void {
    this.#listeners.push(listener)
  }

  removeEventListener(): never {
    throw this.failure
  }

  /** Calls every listener that was ever added. */
  abort(reason: unknown): void {
    this.aborted = true
    this.reason = reason
    for (const listener of this.#listeners) listener()
  }

  /** The object, as the package takes it. */
  get signal(): AbortSignal {
    return this as never
  }
}
