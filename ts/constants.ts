/**
 * libevent's constants, under their names and with their values.
 *
 * Plain frozen objects with literal types, so that they work with `isolatedModules` and show as numbers.
 */

/** What an event waits for, and what a callback is told (`EV_*`). */
export const EV: {
  /** The deadline passed. A result only. */
  readonly TIMEOUT: 0x01
  /** The descriptor is readable. */
  readonly READ: 0x02
  /** The descriptor is writable. */
  readonly WRITE: 0x04
  /** A signal arrived. */
  readonly SIGNAL: 0x08
  /** The event stays pending after it fired. */
  readonly PERSIST: 0x10
  /** Edge-triggered: told once for each change of readiness. */
  readonly ET: 0x20
  /** The result a finalizer is called with. */
  readonly FINALIZE: 0x40
  /** The peer closed its side. */
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

/** What a backend can do (`EV_FEATURE_*`). */
export const Feature: {
  /** Edge-triggered events. */
  readonly ET: 0x01
  /** One ready event costs the same however many are registered. */
  readonly O1: 0x02
  /** Any kind of descriptor, regular files too. */
  readonly FDS: 0x04
  /** A peer's close is noticed without reading. */
  readonly EARLY_CLOSE: 0x08
} = Object.freeze({
  ET: 0x01,
  O1: 0x02,
  FDS: 0x04,
  EARLY_CLOSE: 0x08,
})

/** How a base is built (`EVENT_BASE_FLAG_*`). */
export const BaseFlag: {
  /** No locking: the base belongs to one thread. */
  readonly NOLOCK: 0x01
  /** Environment variables are not read. */
  readonly IGNORE_ENV: 0x02
  /** Windows only; accepted and without effect. */
  readonly STARTUP_IOCP: 0x04
  /** Every question for the time reads the clock. */
  readonly NO_CACHE_TIME: 0x08
  /** epoll is told of most changes when it waits, not one by one: see the page on backends. */
  readonly EPOLL_USE_CHANGELIST: 0x10
  /** The clock is the precise one, which it is anyway unless `EventConfig.useCoarseClock` asks for the other. */
  readonly PRECISE_TIMER: 0x20
  /** Accepted; a blocking wait never uses a timerfd. */
  readonly EPOLL_DISALLOW_TIMERFD: 0x40
  /** Accepted; there are no signal events yet. */
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

/** How long a loop runs (`EVLOOP_*`). */
export const LoopFlag: {
  /** Blocks for the first activity, runs it and returns. */
  readonly ONCE: 0x01
  /** Runs what is ready now and returns. */
  readonly NONBLOCK: 0x02
  /** Waits even when nothing is pending. */
  readonly NO_EXIT_ON_EMPTY: 0x04
} = Object.freeze({
  ONCE: 0x01,
  NONBLOCK: 0x02,
  NO_EXIT_ON_EMPTY: 0x04,
})

/** Why a loop returned. A failing backend throws; it is never a number. */
export const LoopResult: {
  /** By exit, break, `ONCE` or `NONBLOCK`. */
  readonly STOPPED: 0
  /** Nothing was left to wait for. */
  readonly EMPTY: 1
} = Object.freeze({
  STOPPED: 0,
  EMPTY: 1,
})

/** Why a loop returned: a value of {@link LoopResult}. */
export type LoopResult = (typeof LoopResult)[keyof typeof LoopResult]

/** Which counters are added up (`EVENT_BASE_COUNT_*`). */
export const CountFlag: {
  /** Events whose callback is due. */
  readonly ACTIVE: 1
  /** Tokens that keep the loop alive without an event. */
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
