/** The statistics of a base. */

import { native, type NativeHandle } from './native.js'

/** A histogram of durations. */
export interface Histogram {
  /** The number of durations. */
  readonly count: number
  /** Their sum, in milliseconds. */
  readonly total: number
  /** The longest, in milliseconds. */
  readonly max: number
  /**
   * 32 counts. The first counts durations below 1 µs, the second those from 1 to below 2 µs, the third those from 2 to
   * below 4 µs, and so on. The last counts durations of at least 2^30 µs, which are 18 minutes.
   */
  readonly buckets: readonly number[]
}

/** Counts of dispatched events. The first of these properties that matches the result counts the event. */
export interface EventCounts {
  /** The result has READ, WRITE or CLOSED. */
  readonly io: number
  /** The result has SIGNAL. */
  readonly signal: number
  /** The result has TIMEOUT. */
  readonly timer: number
  /** The result has FINALIZE: the event was finalized. */
  readonly finalizer: number
  /** The result has no bit: the program activated the event without a result. */
  readonly user: number
}

/** The times of a base. */
export interface Timing {
  /**
   * Waits of the backend, including sleep. Under `run()` the host waits, and only polls are measured.
   */
  readonly polling: Histogram
  /** Callbacks, including the `nextTick`s and microtasks that run after each under `run()`. */
  readonly callbacks: Histogram
  /** The time from the deadline of a timer until the loop finds it expired. */
  readonly timerLag: Histogram
  /** The `id` of the event whose callback took longest, and the duration of that callback in milliseconds. */
  readonly slowest: { readonly id: number; readonly duration: number } | undefined
}

/** Statistics since the base was made or `EventBase.resetStats()` was last called. A frozen copy. */
export interface Stats {
  /** Passes of the loop: each polls once and dispatches one priority. */
  readonly passes: number
  /** Waits of the backend, whether or not they slept. */
  readonly waits: number
  /** Dispatched events, including the internal ones of `event-base/net`. */
  readonly events: EventCounts
  /**
   * `sent`: wake-ups sent to a loop that slept, or to the host that waited for it. `received`: waits that received a
   * wake-up; one wait may receive several.
   */
  readonly wakeups: { readonly sent: number; readonly received: number }
  /** The times; `undefined` unless the base was built with `EventConfig.measure()`. */
  readonly timing: Timing | undefined
}

function histogram(found: Histogram): Histogram {
  return Object.freeze({ ...found, buckets: Object.freeze([...found.buckets]) })
}

/** Returns the statistics of a base, and sets them to 0 if `reset` is true. */
export function statsOf(handle: NativeHandle, reset: boolean): Stats {
  const { passes, waits, io, signal, timer, finalizer, user, sent, received, timing } = native.baseStats(
    handle,
    reset,
  )
  return Object.freeze({
    passes,
    waits,
    events: Object.freeze({ io, signal, timer, finalizer, user }),
    wakeups: Object.freeze({ sent, received }),
    timing:
      timing &&
      Object.freeze({
        polling: histogram(timing.polling),
        callbacks: histogram(timing.callbacks),
        timerLag: histogram(timing.timerLag),
        slowest:
          timing.slowest < 0
            ? undefined
            : Object.freeze({ id: timing.slowest, duration: timing.slowestDuration }),
      }),
  })
}
