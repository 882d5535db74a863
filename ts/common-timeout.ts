/** A duration that has its own queue of events. */

import type { Core } from './core.js'
import { outOfRange, wrongType } from './validate.js'

let make: (core: Core, ms: number, native: number) => CommonTimeout

/**
 * A duration shared by many events of one base (`event_base_init_common_timeout`): see
 * {@link EventBase.commonTimeout}. {@link Event.add} takes it in place of a number.
 */
export class CommonTimeout {
  /** The duration in milliseconds. */
  readonly ms: number
  readonly #core: Core
  readonly #native: number

  private constructor(core: Core, ms: number, native: number) {
    this.#core = core
    this.#native = native
    this.ms = ms
    Object.freeze(this)
  }

  static {
    make = (core, ms, native) => new CommonTimeout(core, ms, native)
  }

  /**
   * The number that the native layer takes in place of the object.
   *
   * @internal
   */
  static nativeOf(value: CommonTimeout, core: Core): number {
    if (typeof value !== 'object' || value === null || !(#native in value)) {
      throw wrongType('timeout', 'of type number or an instance of CommonTimeout', value)
    }
    if (value.#core !== core) throw outOfRange('timeout', "a CommonTimeout of the event's own base", value.ms)
    return value.#native
  }
}

/** Makes a common timeout; `native` is the number that the native layer takes in its place. */
export function makeCommonTimeout(core: Core, ms: number, native: number): CommonTimeout {
  return make(core, ms, native)
}
