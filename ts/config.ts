/** The configuration of a base. */

import { BaseFlag, Feature } from './constants.js'
import { EventBase } from './event-base.js'
import { NO_TIMEOUT } from './native.js'
import { defaultSettings, settingsOf } from './settings.js'
import { checkBits, checkBoolean, checkInteger, checkOptions, checkTimeout, wrongType } from './validate.js'

const ALL_FEATURES = Feature.ET | Feature.O1 | Feature.FDS | Feature.EARLY_CLOSE
const ALL_FLAGS = Object.values(BaseFlag).reduce((all, flag) => all | flag, 0)

/** Limits on how long one pass may run callbacks before the backend is polled again. */
export interface DispatchInterval {
  /** Milliseconds. Default: no limit in time. */
  interval?: number
  /** A number of callbacks. Default: no limit in number. */
  callbacks?: number
  /** The limits apply to this priority and to less urgent ones. Default 1. */
  minPriority?: number
}

/**
 * The configuration of a base (`struct event_config`). One configuration can build any number of bases.
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
  readonly #settings = defaultSettings()

  constructor() {
    settingsOf.set(this, this.#settings)
  }

  /**
   * Excludes the backend that has this name (`event_config_avoid_method`). Each call excludes one more backend; unknown
   * names are accepted.
   *
   * @param name the name of a backend, which must match exactly
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`
   */
  avoidMethod(name: string): this {
    if (typeof name !== 'string') throw wrongType('name', 'of type string', name)
    this.#settings.avoided.push(name)
    return this
  }

  /**
   * Requires a backend that has all of these features (`event_config_require_features`). They replace the features of
   * an earlier call.
   *
   * @param features bits of {@link Feature}
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`
   */
  requireFeatures(features: number): this {
    this.#settings.features = checkBits('features', features, ALL_FEATURES)
    return this
  }

  /**
   * Adds flags; a flag cannot be removed (`event_config_set_flag`).
   *
   * @param flags bits of {@link BaseFlag}
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`
   */
  setFlags(flags: number): this {
    this.#settings.flags |= checkBits('flags', flags, ALL_FLAGS)
    return this
  }

  /**
   * Makes the loop poll the backend again after a bounded time or number of callbacks
   * (`event_config_set_max_dispatch_interval`).
   *
   * @param limits the limits; a missing one does not apply
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setMaxDispatchInterval(limits: DispatchInterval): this {
    const { interval, callbacks, minPriority = 1 } = checkOptions(limits)
    if (interval !== undefined) checkTimeout('interval', interval)
    if (callbacks !== undefined) checkInteger('callbacks', callbacks, 0, 0x7fff_ffff)
    checkInteger('minPriority', minPriority, 0, 255)
    this.#settings.interval = interval ?? NO_TIMEOUT
    this.#settings.callbacks = callbacks ?? -1
    this.#settings.minPriority = minPriority
    return this
  }

  /**
   * Sets the initial number of priorities (`event_base_priority_init`). Default 1.
   *
   * @param count 1 to 255
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setPriorities(count: number): this {
    this.#settings.priorities = checkInteger('count', count, 1, 255)
    return this
  }

  /**
   * Measures the durations of callbacks and waits and the delays of timers, for {@link EventBase.stats}. This costs one
   * more reading of the clock for each callback and two for each wait.
   *
   * @param timing `false` switches it off
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`
   */
  measure(timing = true): this {
    this.#settings.timing = checkBoolean('timing', timing)
    return this
  }

  /**
   * Uses a clock that is cheaper to read and advances once per tick of the kernel, every 1 to 10 ms:
   * `CLOCK_MONOTONIC_COARSE` (`clock_gettime(2)`), which is libevent's default. Systems without it keep the precise
   * clock.
   *
   * A timeout counts from the last tick. Measured by the precise clock, a timer fires up to one tick too early or too
   * late; measured by {@link EventBase.monotonic}, it never fires early. `BaseFlag.PRECISE_TIMER` overrides this, and
   * so does the environment variable `EVENT_PRECISE_TIMER`, unless `BaseFlag.IGNORE_ENV` is set.
   */
  useCoarseClock(): this {
    this.#settings.coarseClock = true
    return this
  }

  /**
   * Switches debug mode on (`event_enable_debug_mode`): checks that are too expensive for normal operation.
   *
   * - {@link Event.add} throws `ERR_EVENT_BLOCKING` for a socket, pipe or FIFO in blocking mode, which could block the
   *   loop. It accepts descriptors 0 to 2 and descriptors of other kinds.
   * - After each pass, or after every few passes if there are more than 64 events, the engine checks that its
   *   structures are consistent. An inconsistency is a fault of the engine: the loop fails with `ERR_EVENT_INTERNAL`.
   *
   * @param debug `false` switches it off
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`
   */
  debug(debug = true): this {
    this.#settings.debug = checkBoolean('debug', debug)
    return this
  }

  /**
   * Accepted without effect: only Windows' completion ports use it (`event_config_set_num_cpus_hint`).
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
   * @throws {SystemError} `EMFILE`, `ENFILE`, `ENOMEM` when the kernel provides no descriptor
   */
  build(): EventBase {
    return new EventBase(this)
  }
}
