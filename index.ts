/**
 * libevent's event_base for Node: readiness on any descriptor, priorities, edge-triggering, exact timers.
 *
 * @module event-base
 */

export type { CommonTimeout } from './ts/common-timeout.js'
export { EventConfig, type DispatchInterval } from './ts/config.js'
export {
  BaseFlag,
  CountFlag,
  EV,
  Feature,
  LoopFlag,
  LoopResult,
  type Method,
  type SignalMethod,
} from './ts/constants.js'
export type { BaseMessage, LogMessage, LogSeverity } from './ts/diagnostics.js'
export { EventError, type EventErrorCode, type SystemError } from './ts/errors.js'
export type { Event, EventCallback, EventOptions } from './ts/event.js'
export { EventBase } from './ts/event-base.js'
export type { EventRecord } from './ts/event-records.js'
export { setLogCallback } from './ts/log.js'
export type { RemoteBase, SharedBase } from './ts/remote.js'
export type { Signal } from './ts/signals.js'
export type { EventCounts, Histogram, Stats, Timing } from './ts/stats.js'
export type { CheckCallback, PrepareCallback, Watcher } from './ts/watcher.js'
