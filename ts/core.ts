/** What a base, its events and its run share, and nobody else sees. */

import type { Event } from './event.js'
import type { EventBase } from './event-base.js'
import { closedError } from './errors.js'
import { WeakValues } from './weak-values.js'
import type { Watcher } from './watcher.js'
import { native, type NativeHandle, type NativeOwner } from './native.js'

/**
 * Ground rules:
 * - An event has a native slot only while it is pending, active or named by its id; `events` holds it, by
 *   slot, exactly as long as it is pending or active. So a pending event is kept alive by its base, and one
 *   that is neither pending nor reachable is garbage like anything else, with nothing to clean up.
 * - An event whose id was asked for keeps its slot, and is held weakly, through `named`, while it is idle; in a
 *   base that is shared with other threads firmly, through `kept`, until it is closed.
 */
export class Core {
  readonly handle: NativeHandle
  /** Held so that the native base lives as long as this. */
  readonly nativeOwner: NativeOwner
  readonly owner: EventBase
  readonly events: (Event | undefined)[] = []
  readonly named: WeakValues<Event> = new WeakValues()
  /** What waits for the base and must hear that it was closed. */
  readonly waiting: Set<(reason: Error) => void> = new Set()
  /** What to call when an event that is being finalized has had its last turn. */
  readonly finalizers: Map<Event, (event: Event) => void> = new Map()
  /** Other threads may know ids of events. */
  shared = false
  /** The named events of a shared base: another thread may add one that nobody here refers to. */
  readonly kept: Set<Event> = new Set()
  /** The watchers, by their native ids. */
  readonly watchers: Map<number, Watcher> = new Map()
  priorities: number
  /** Every lower number of priorities that was set, lest an event that is idle misses one. */
  readonly counts: number[] = []
  closed = false
  /** How many events had their turn. */
  turns = 0
  /** The event whose callback runs. */
  running: Event | undefined = undefined

  constructor(nativeOwner: NativeOwner, owner: EventBase, priorities: number) {
    this.nativeOwner = nativeOwner
    this.handle = native.baseNumber(nativeOwner)
    this.owner = owner
    this.priorities = priorities
  }

  /** The base is still open. */
  check(): void {
    if (this.closed) throw closedError('base')
  }
}
