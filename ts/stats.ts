/** What a base has done so far. */

import { native, type NativeHandle } from './native.js'

/** Durations in milliseconds, counted by their order of magnitude. */
export interface Histogram {
  /** How many. */
  readonly count: number
  /** Their sum, in milliseconds. */
  readonly total: number
  /** The longest, in milliseconds. */
  readonly max: number
  /**
   * 32 numbers: how many are below 1 µs, from there below 2 µs, from there below 4 µs and so on; the last is how
   * many took 2^30 µs, some 18 minutes, or longer.
   */
  readonly buckets: readonly number[]
}

/** How many events had their turn, by what they were called with. */
export interface EventCounts {
  /** READ, WRITE or CLOSED in the result. */
  readonly io: number
  /** Else SIGNAL. */
  readonly signal: number
  /** Else TIMEOUT. */
  readonly timer: number
  /** Else FINALIZE: events that were finalized. */
  readonly finalizer: number
  /** None of these: activated by hand, with nothing. */
  readonly user: number
}

/** Where the time of a base went. */
export interface Timing {
  /**
   * Waiting for the backend, sleep included. Under `run()` the host waits, and only the looks in between are
   * counted.
   */
  readonly polling: Histogram
  /** Callbacks, with the `nextTick`s and microtasks that `run()` lets run after each. */
  readonly callbacks: Histogram
  /** How long after their deadlines the loop noticed timers. */
  readonly timerLag: Histogram
  /** The event whose callback took longest, by its `id`, and how many milliseconds that were. */
  readonly slowest: { readonly id: number; readonly duration: number } | undefined
}

/** What a base has done since it was made, or since its statistics were last reset. A frozen copy. */
export interface Stats {
  /** Passes of the loop: each polls once and serves one priority. */
  readonly passes: number
  /** Times the backend was asked what is ready, whether or not that slept. */
  readonly waits: number
  /** Events that had their turn, the internal ones of `event-base/net` among them. */
  readonly events: EventCounts
  /**
   * Wake-ups of a loop that slept, or of the host in its place, and how often a wait found one. Several that were
   * sent may be found at once.
   */
  readonly wakeups: { readonly sent: number; readonly received: number }
  /** Where the time went; `undefined` unless the base was built with `EventConfig.measure()`. */
  readonly timing: Timing | undefined
}

function histogram(found: Histogram): Histogram {
  return Object.freeze({ ...found, buckets: Object.freeze([...found.buckets]) })
}

/** Asks for the statistics of a base, and lets them begin again if told to. */
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
