/** A snapshot of the events of a base. */

import type { Core } from './core.js'
import type { Event } from './event.js'
import { native, NO_SLOT } from './native.js'

/** A snapshot of one event, as {@link EventBase.events} returns it. */
export interface EventRecord {
  /** The identity of the event while it is pending or active: its {@link Event.id}. */
  id: number
  /** Its descriptor, or the number of its signal; -1 for timers and user events. */
  fd: number
  /** The bits that the event was made with. */
  what: number
  /** The bits that the event is pending for. */
  pending: number
  /** The bits that its callback will receive, if the event is active. */
  result: number
  /** Whether it is active. */
  active: boolean
  /** Its priority. */
  priority: number
  /** Its deadline in wall-clock milliseconds since 1970; `undefined` if it has no deadline. */
  expiresAt: number | undefined
  /** The event; `undefined` for the internal events of `event-base/net`. */
  event: Event | undefined
}

/** The events of a base that are pending or active. */
export function eventRecords(core: Core): EventRecord[] {
  return native.baseEvents(core.handle).map(({ native: isInternal, expiresAt, ...record }) => {
    const slot = record.id & NO_SLOT
    return {
      ...record,
      expiresAt: expiresAt < 0 ? undefined : expiresAt,
      event: isInternal ? undefined : (core.events[slot] ?? core.named.get(slot)),
    }
  })
}
