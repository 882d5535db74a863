/**
 * libevent's constants, under their names and with their values.
 *
 * They are plain frozen objects with literal types, which work with `isolatedModules` and are printed as numbers.
 */

/** Interests and flags of an event, and results of its callback (`EV_*`). */
export const EV: {
  /** The timeout has expired. This bit is a result, not an interest. */
  readonly TIMEOUT: 0x01
  /** The descriptor is readable. */
  readonly READ: 0x02
  /** The descriptor is writable. */
  readonly WRITE: 0x04
  /** A signal arrived. */
  readonly SIGNAL: 0x08
  /** The event stays pending after it fired. */
  readonly PERSIST: 0x10
  /** Edge-triggered: the backend reports each change of readiness once. */
  readonly ET: 0x20
  /** The result of a finalizer. */
  readonly FINALIZE: 0x40
  /** The peer has closed its side. */
  readonly CLOSED: 0x80
} = Object.freeze({
  TIMEOUT: 0x01,
  READ: 0x02,
  WRITE: 0x04,
  SIGNAL: 0x08,
  PERSIST: 0x10,
  ET: 0x20,
  FINALIZE: 0x40,
  CLOSED: 0x80,
})

/** Features of a backend (`EV_FEATURE_*`). */
export const Feature: {
  /** Edge-triggered events. */
  readonly ET: 0x01
  /** The cost of a ready event does not depend on how many are registered. */
  readonly O1: 0x02
  /** Any kind of descriptor, including regular files. */
  readonly FDS: 0x04
  /** The backend reports that a peer has closed its side before the data is read. */
  readonly EARLY_CLOSE: 0x08
} = Object.freeze({
  ET: 0x01,
  O1: 0x02,
  FDS: 0x04,
  EARLY_CLOSE: 0x08,
})

/** Flags of a base (`EVENT_BASE_FLAG_*`). */
export const BaseFlag: {
  /** The base uses no locks: only one thread may use it. */
  readonly NOLOCK: 0x01
  /** Environment variables are not read. */
  readonly IGNORE_ENV: 0x02
  /** Windows only; accepted without effect. */
  readonly STARTUP_IOCP: 0x04
  /** The time is not cached: each query reads the clock. */
  readonly NO_CACHE_TIME: 0x08
  /** Most changes are collected and passed to epoll before it waits: see the page on backends. */
  readonly EPOLL_USE_CHANGELIST: 0x10
  /** Uses the precise clock, which is the default, in spite of `EventConfig.useCoarseClock`. */
  readonly PRECISE_TIMER: 0x20
  /** Accepted; a blocking wait never uses a timerfd. */
  readonly EPOLL_DISALLOW_TIMERFD: 0x40
  /**
   * Receives signals through a descriptor (`signalfd(2)`; Linux). The thread that adds an event for a signal blocks the
   * signal; all other threads must block it too, but the threads of Node do not. Several pending instances of one
   * signal are reported as one. Without this flag the base uses a handler.
   */
  readonly USE_SIGNALFD: 0x80
} = Object.freeze({
  NOLOCK: 0x01,
  IGNORE_ENV: 0x02,
  STARTUP_IOCP: 0x04,
  NO_CACHE_TIME: 0x08,
  EPOLL_USE_CHANGELIST: 0x10,
  PRECISE_TIMER: 0x20,
  EPOLL_DISALLOW_TIMERFD: 0x40,
  USE_SIGNALFD: 0x80,
})

/** Flags of a loop (`EVLOOP_*`). */
export const LoopFlag: {
  /** Waits until events are active, runs them and returns. */
  readonly ONCE: 0x01
  /** Runs the events that are ready now and returns. */
  readonly NONBLOCK: 0x02
  /** Waits although nothing is pending. */
  readonly NO_EXIT_ON_EMPTY: 0x04
} = Object.freeze({
  ONCE: 0x01,
  NONBLOCK: 0x02,
  NO_EXIT_ON_EMPTY: 0x04,
})

/** The reason why a loop returned. If the backend fails, the loop throws instead. */
export const LoopResult: {
  /** The loop was ended by an exit, a break, `ONCE` or `NONBLOCK`. */
  readonly STOPPED: 0
  /** No event was pending. */
  readonly EMPTY: 1
} = Object.freeze({
  STOPPED: 0,
  EMPTY: 1,
})

/** The reason why a loop returned: a value of {@link LoopResult}. */
export type LoopResult = (typeof LoopResult)[keyof typeof LoopResult]

/** The counters of a base (`EVENT_BASE_COUNT_*`). */
export const CountFlag: {
  /** Active events. */
  readonly ACTIVE: 1
  /** Tokens that keep the loop running without an event. */
  readonly VIRTUAL: 2
  /** Memberships of events in the map, the timers and the queues. */
  readonly ADDED: 4
} = Object.freeze({
  ACTIVE: 1,
  VIRTUAL: 2,
  ADDED: 4,
})

/** The name of a backend. */
export type Method = 'epoll' | 'epoll (with changelist)' | 'kqueue' | 'poll' | 'select'

/** How a base receives signals. */
export type SignalMethod = 'signal' | 'signalfd_signal' | 'kqueue_signal'
