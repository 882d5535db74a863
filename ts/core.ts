/** The state of a base, which the parts of the base share. */

import type { Event } from './event.js'
import type { EventBase } from './event-base.js'
import { closedError } from './errors.js'
import type { Watcher } from './watcher.js'
import { native, type NativeHandle, type NativeOwner } from './native.js'
import { WeakValues } from './weak-values.js'

/**
 * Rules:
 * - An event has a native slot only while it is pending, active or named by its id. `events` holds it by its slot while
 *   it is pending or active. So the base keeps a pending event alive, and an event that is neither pending nor
 *   referenced can be collected without any cleanup.
 * - An event whose id was read keeps its slot. While it is idle, `named` holds it weakly. If the base is shared with
 *   other threads, `kept` holds the event until it is closed.
 */
export class Core {
  readonly handle: NativeHandle
  /** The native base exists as long as this object. */
  readonly nativeOwner: NativeOwner
  readonly owner: EventBase
  readonly events: (Event | undefined)[] = []
  readonly named: WeakValues<Event> = new WeakValues()
  /** Called with the reason when the base is closed. */
  readonly waiting: Set<(reason: Error) => void> = new Set()
  /** The callbacks of events that are being finalized. */
  readonly finalizers: Map<Event, (event: Event) => void> = new Map()
  /** Whether the base was shared, so that other threads can have ids of its events. */
  shared = false
  /** The named events of a shared base. Another thread may add an event that this thread no longer references. */
  readonly kept: Set<Event> = new Set()
  /** The watchers, by their native ids. */
  readonly watchers: Map<number, Watcher> = new Map()
  /** Called with each step code that names no event and no watcher. */
  onStep: (step: number) => void = () => {}
  /** Whether the blocking loop returns to JavaScript when the host's loop has work. */
  watchesHost = false
  priorities: number
  /** Each number of priorities that was set and is lower than the previous one. Idle events apply them later. */
  readonly counts: number[] = []
  closed = false
  /** The number of events that were dispatched. */
  turns = 0
  /** The event whose callback runs. */
  running: Event | undefined = undefined
  /** Whether a loop has ever run the base. */
  hasRun = false
  /** The number of promises that wait for the loop. */
  promises = 0
  /** How the base is being run; `undefined` while no loop runs. */
  loop: 'loop()' | 'run()' | undefined = undefined

  constructor(nativeOwner: NativeOwner, owner: EventBase, priorities: number) {
    this.nativeOwner = nativeOwner
    this.handle = native.baseNumber(nativeOwner)
    this.owner = owner
    this.priorities = priorities
  }

  /**
   * Checks that the base is open.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  check(): void {
    if (this.closed) throw closedError('base')
  }
}
