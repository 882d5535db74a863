/** How a base is to be built. */

import { BaseFlag, Feature } from './constants.js'
import type { EventBase } from './event-base.js'
import { native, NO_TIMEOUT, type NativeOwner } from './native.js'
import { checkBits, checkBoolean, checkInteger, checkOptions, checkTimeout, wrongType } from './validate.js'

const ALL_FEATURES = Feature.ET | Feature.O1 | Feature.FDS | Feature.EARLY_CLOSE
const ALL_FLAGS = Object.values(BaseFlag).reduce((all, flag) => all | flag, 0)

let construct: (config: EventConfig) => EventBase

/** Tells {@link EventConfig.build} how a base is made; said once, by the class of bases. */
export function setConstructor(constructor: (config: EventConfig) => EventBase): void {
  construct = constructor
}

/** Limits on how long one pass may run callbacks before the backend is polled again. */
export interface DispatchInterval {
  /** Milliseconds; without it no limit in time. */
  interval?: number
  /** Callbacks; without it no limit in number. */
  callbacks?: number
  /** The limits apply to this priority and less urgent ones. Default 1. */
  minPriority?: number
}

/**
 * How a base is to be built (`struct event_config`). Can be used for any number of bases.
 *
 * ```ts
 * import { BaseFlag, EventConfig, Feature } from 'event-base'
 *
 * const base = new EventConfig()
 *   .requireFeatures(Feature.ET)
 *   .setFlags(BaseFlag.NOLOCK)
 *   .setPriorities(3)
 *   .build()
 * base.close()
 * ```
 */
export class EventConfig {
  readonly #avoided: string[] = []
  #features = 0
  #flags = 0
  #interval = NO_TIMEOUT
  #callbacks = -1
  #minPriority = 1
  #priorities = 1
  #timing = false
  #coarseClock = false
  #debug = false

  /**
   * Never uses the backend of this name (`event_config_avoid_method`). May be repeated; unknown names are
   * accepted.
   *
   * @param name compared exactly
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`
   */
  avoidMethod(name: string): this {
    if (typeof name !== 'string') throw wrongType('name', 'of type string', name)
    this.#avoided.push(name)
    return this
  }

  /**
   * Asks for a backend with all of these features, in place of those asked for before
   * (`event_config_require_features`).
   *
   * @param features bits of {@link Feature}
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`
   */
  requireFeatures(features: number): this {
    this.#features = checkBits('features', features, ALL_FEATURES)
    return this
  }

  /**
   * Adds flags; none can be taken back (`event_config_set_flag`).
   *
   * @param flags bits of {@link BaseFlag}
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`
   */
  setFlags(flags: number): this {
    this.#flags |= checkBits('flags', flags, ALL_FLAGS)
    return this
  }

  /**
   * Polls again in the middle of many callbacks (`event_config_set_max_dispatch_interval`).
   *
   * @param limits what is left out is not limited
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setMaxDispatchInterval(limits: DispatchInterval): this {
    const { interval, callbacks, minPriority = 1 } = checkOptions(limits) ?? {}
    if (interval !== undefined) checkTimeout('interval', interval)
    if (callbacks !== undefined) checkInteger('callbacks', callbacks, 0, 0x7fff_ffff)
    checkInteger('minPriority', minPriority, 0, 255)
    this.#interval = interval ?? NO_TIMEOUT
    this.#callbacks = callbacks ?? -1
    this.#minPriority = minPriority
    return this
  }

  /**
   * Sets the number of priorities the base begins with (`event_base_priority_init`).
   *
   * @param count 1 to 255
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setPriorities(count: number): this {
    this.#priorities = checkInteger('count', count, 1, 255)
    return this
  }

  /**
   * Measures how long callbacks, waits and timers take, for {@link EventBase.stats}. Costs a reading of the clock
   * for each callback and two for each wait.
   *
   * @param timing `false` takes it back
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`
   */
  measure(timing = true): this {
    this.#timing = checkBoolean('timing', timing)
    return this
  }

  /**
   * Takes the time from the clock that moves once a tick of the kernel, 1 to 10 ms, and is cheaper to read:
   * `CLOCK_MONOTONIC_COARSE`, libevent's default. Systems without one keep the precise clock.
   *
   * A timeout counts from the last tick. By the precise clock a timer fires between a tick too early and a tick too
   * late, by {@link EventBase.monotonic} never early. `BaseFlag.PRECISE_TIMER` takes this back, and so does
   * the variable `EVENT_PRECISE_TIMER`, unless `BaseFlag.IGNORE_ENV` is set.
   */
  useCoarseClock(): this {
    this.#coarseClock = true
    return this
  }

  /**
   * Turns debug mode on (`event_enable_debug_mode`), as `EVENT_DEBUG_MODE` in the environment does: checks what
   * costs too much to be checked always.
   *
   * - A socket, pipe or FIFO in blocking mode, which would block the loop sooner or later, cannot be added:
   *   `ERR_EVENT_BLOCKING`. Descriptors 0 to 2 and of other kinds are let through.
   * - After each pass, with more than 64 events after every few, the engine looks whether its own structures agree
   *   with each other. If not, which would be a bug here, the loop ends with `ERR_EVENT_INTERNAL`.
   *
   * @param debug `false` takes it back
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`
   */
  debug(debug = true): this {
    this.#debug = checkBoolean('debug', debug)
    return this
  }

  /**
   * Accepted and without effect: only Windows' completion ports would use it
   * (`event_config_set_num_cpus_hint`).
   *
   * @param count 0 or more
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setNumCpusHint(count: number): this {
    checkInteger('count', count, 0, 0x7fff_ffff)
    return this
  }

  /**
   * Builds a base (`event_base_new_with_config`).
   *
   * @throws {EventError} `ERR_EVENT_NO_METHOD` when no backend fits
   * @throws {SystemError} `EMFILE`, `ENFILE`, `ENOMEM` when the kernel has no descriptor left
   */
  build(): EventBase {
    return construct(this)
  }

  /** @internal */
  static open(config: EventConfig): NativeOwner {
    return native.createBase({
      avoided: config.#avoided,
      features: config.#features,
      flags: config.#flags,
      interval: config.#interval,
      callbacks: config.#callbacks,
      minPriority: config.#minPriority,
      priorities: config.#priorities,
      timing: config.#timing,
      coarseClock: config.#coarseClock,
      debug: config.#debug,
    })
  }

  /** @internal */
  static prioritiesOf(config: EventConfig): number {
    return config.#priorities
  }
}
