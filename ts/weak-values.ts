/** A map from numbers to objects that it does not keep alive. */

/**
 * Holds its values weakly. A `WeakRef` keeps its target alive until the current job ends, and under a blocking loop no
 * job ends (ECMA-262, AddToKeptObjects). So `set` holds a value strongly until the job ends, and weakly after that: a
 * value that is deleted in the same job can be collected immediately.
 */
export class WeakValues<Value extends object> {
  readonly #values: Map<number, Value | WeakRef<Value>> = new Map()
  /** The keys of values that are held strongly. */
  readonly #fresh: Set<number> = new Set()
  /** Whether a microtask will weaken them. It cannot run before the job ends, so one is enough. */
  #isScheduled = false

  get(key: number): Value | undefined {
    const value = this.#values.get(key)
    return value instanceof WeakRef ? value.deref() : value
  }

  set(key: number, value: Value): void {
    this.#values.set(key, value)
    this.#fresh.add(key)
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => this.#weaken())
  }

  delete(key: number): void {
    this.#values.delete(key)
    this.#fresh.delete(key)
  }

  clear(): void {
    this.#values.clear()
    this.#fresh.clear()
  }

  /** The values that still exist. */
  *values(): Generator<Value> {
    for (const key of this.#values.keys()) {
      const value = this.get(key)
      if (value !== undefined) yield value
    }
  }

  #weaken(): void {
    this.#isScheduled = false
    for (const key of this.#fresh) {
      const value = this.#values.get(key)
      if (value !== undefined && !(value instanceof WeakRef)) this.#values.set(key, new WeakRef(value))
    }
    this.#fresh.clear()
  }
}
