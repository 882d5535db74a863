/** One event of a base. */

import { AsyncResource } from 'node:async_hooks'

import { CommonTimeout } from './common-timeout.js'
import { EV } from './constants.js'
import type { Core } from './core.js'
import { closedError, EventError } from './errors.js'
import type { EventBase } from './event-base.js'
import { crossing, native, NO_SLOT, NO_TIMEOUT, type NativeHandle, ORPHANED, RELEASED } from './native.js'
import { checkBits, checkCallback, checkInteger, checkPriority, checkTimeout } from './validate.js'

/**
 * Called when an event fires.
 *
 * @param fd the event's descriptor, or the number of its signal; -1 for timers and user events
 * @param what why: bits of `EV`
 * @param event the event itself
 */
export type EventCallback = (fd: number, what: number, event: Event) => void

/** How an event is to be made. */
export interface EventOptions {
  /** 0 is the most urgent. Default: the middle one of the base's priorities. */
  priority?: number
  /** The event stays pending after it fired. Default `false`. */
  persist?: boolean
}

/** Nothing has to be told when the resource of an event is garbage. */
const RESOURCE = Object.freeze({ requireManualDestroy: true })

/** No native slot. */
const NONE = -1

const IO = EV.READ | EV.WRITE | EV.CLOSED
/** What an event can be registered for. */
const REGISTERED = IO | EV.SIGNAL
/** What an event can be activated with. */
export const RESULTS: number = IO | EV.TIMEOUT | EV.SIGNAL

/** The slots of events that were asked for their id and then forgotten by everybody. */
const forgotten: FinalizationRegistry<{ handle: NativeHandle; id: number }> = new FinalizationRegistry(
  ({ handle, id }) => {
    try {
      crossing.eventFree(handle, id)
    } catch {
      // Its base was closed meanwhile, and its events with it.
    }
  },
)

/** What an event can still do. */
const Life = Object.freeze({ OPEN: 0, FINALIZING: 1, CLOSED: 2 })

/** What an {@link Event} is made from; checked by whoever makes it. */
export interface EventParts {
  core: Core
  fd: number
  what: number
  priority: number
  callback: EventCallback
}

/**
 * Something a base waits for: readiness of a descriptor, a signal, a deadline, or two of these; or nothing but
 * {@link Event.activate}. Made by {@link EventBase.newEvent} and its sisters, pending once it was added.
 *
 * The descriptor is borrowed: it is never closed here, and must be open while the event is pending. Delete
 * the event before closing it; if that was forgotten, the event stops, and a warning is logged.
 *
 * Usable on the thread of its base only.
 */
export class Event {
  readonly #core: Core
  readonly #fd: number
  readonly #what: number
  readonly #callback: EventCallback
  readonly #context: AsyncResource = new AsyncResource('EventBase', RESOURCE)
  #priority: number
  /** How many changes of the number of priorities its own has been through. */
  #counts: number
  #id = NONE
  #life: number = Life.OPEN
  #named = false
  /** The base's count of turns when the event was made, or had its last one. */
  #turn: number

  /** @internal */
  constructor(parts: EventParts) {
    this.#core = parts.core
    this.#fd = parts.fd
    this.#what = parts.what
    this.#priority = parts.priority
    this.#counts = parts.core.counts.length
    this.#callback = parts.callback
    this.#turn = parts.core.turns
  }

  /** The descriptor, or the number of the signal; -1 for timers and user events (`event_get_fd`). */
  get fd(): number {
    return this.#fd
  }

  /** The number of the signal, of a signal event (`event_get_signal`). */
  get signal(): number | undefined {
    return this.#what & EV.SIGNAL ? this.#fd : undefined
  }

  /** The bits it was made with (`event_get_events`). */
  get what(): number {
    return this.#what
  }

  /** The base it belongs to (`event_get_base`). */
  get base(): EventBase {
    return this.#core.owner
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#life === Life.CLOSED || this.#core.closed
  }

  /**
   * A number that names this event among all that its base ever had, on other threads too: see
   * {@link EventBase.share}.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  get id(): number {
    this.#checkOpen()
    if (!this.#named) {
      if (this.#id === NONE) this.#id = this.#create()
      native.eventKeep(this.#core.handle, this.#id)
      this.#named = true
      this.#core.named.set(this.#id & NO_SLOT, this)
      if (this.#core.shared) this.#core.kept.add(this)
      forgotten.register(this, { handle: this.#core.handle, id: this.#id }, this)
    }
    return this.#id
  }

  /**
   * Its priority, 0 being the most urgent (`event_get_priority`, `event_priority_set`).
   *
   * Setting it throws `ERR_EVENT_ACTIVE` while the event is active, `ERR_OUT_OF_RANGE` for a priority the base
   * does not have, `ERR_EVENT_CLOSED` after {@link close}.
   */
  get priority(): number {
    const { counts } = this.#core
    // Each number of priorities that was set since took from the event what it did not have.
    for (; this.#counts < counts.length; this.#counts += 1) {
      this.#priority = Math.min(this.#priority, (counts[this.#counts] ?? 0) - 1)
    }
    return this.#priority
  }

  set priority(priority: number) {
    this.#checkOpen()
    checkPriority('priority', priority, this.#core.priorities)
    if (this.#id !== NONE) native.eventSetPriority(this.#core.handle, this.#id, priority)
    this.#priority = priority
    this.#counts = this.#core.counts.length
  }

  /**
   * Makes the event pending (`event_add`): its interest is registered, and with a timeout a deadline is set.
   *
   * On an event that is pending, no timeout changes nothing and a timeout replaces the one before. 0 fires in
   * the next pass. A persistent event takes the timeout as its period. The timeout counts from the time that
   * {@link EventBase.now} shows, which stands still while callbacks run.
   *
   * @param timeout milliseconds, 0 or more; fractions count, to the microsecond. Or what
   *   {@link EventBase.commonTimeout} of the same base returned, which means its duration
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_EVENT_FINALIZING`, `ERR_INVALID_ARG_TYPE`,
   *   `ERR_OUT_OF_RANGE`, also for a common timeout of another base; `ERR_EVENT_BAD_FLAGS` when events of one
   *   descriptor disagree on edge-triggering; `ERR_EVENT_BLOCKING` in debug mode for a descriptor that blocks, see
   *   {@link EventConfig.debug}
   * @throws {SystemError} of `epoll_ctl`: `EPERM` for a regular file or a directory, `EBADF` for a closed
   *   descriptor, `ENOSPC` or `ENOMEM` at the kernel's limits. Of `sigaction`: `EINVAL` for a signal that nobody
   *   can have, as SIGKILL. Nothing has changed then.
   */
  add(timeout?: number | CommonTimeout): this {
    this.#checkOpen()
    if (this.#life !== Life.OPEN) throw new EventError('ERR_EVENT_FINALIZING', 'The event is being finalized')
    const core = this.#core
    const duration = timeout === undefined ? NO_TIMEOUT : timeoutOf(core, timeout)
    if (this.#id !== NONE) {
      crossing.eventAdd(core.handle, this.#id, duration)
      if (this.#named) this.#hold()
    } else if (duration !== NO_TIMEOUT || (this.#what & REGISTERED) !== 0) {
      const age = core.turns - this.#turn
      this.#id = crossing.eventCreateAndAdd(core.handle, this.#fd, this.#bits(), age, duration)
      this.#hold()
    }
    return this
  }

  /**
   * Makes the event neither pending nor active (`event_del`). Never blocks.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  del(): this {
    this.#checkOpen()
    this.#delete()
    return this
  }

  /**
   * Drops the deadline and the period, and leaves the rest (`event_remove_timer`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  removeTimer(): this {
    this.#checkOpen()
    if (this.#id !== NONE && this.#life === Life.OPEN) {
      native.eventRemoveTimer(this.#core.handle, this.#id)
      if (native.eventIsIdle(this.#core.handle, this.#id)) this.#delete()
    }
    return this
  }

  /**
   * Makes the event active by hand, pending or not (`event_active`): its callback is called in this pass or
   * the next. On an event that is active already the bits are added to its result.
   *
   * @param what what the callback will be told, of `EV`'s TIMEOUT, READ, WRITE, SIGNAL and CLOSED. Default 0
   * @param ncalls how often to call, for a signal event, on top of the calls that are due; 0 does nothing. Accepted
   *   and without effect for other events
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`,
   *   `ERR_EVENT_BAD_FLAGS`
   */
  activate(what = 0, ncalls = 1): this {
    this.#checkOpen()
    checkBits('what', what, RESULTS)
    checkInteger('ncalls', ncalls, 0, 0xffff)
    if (this.#life !== Life.OPEN) return this
    const isSignal = (this.#what & EV.SIGNAL) !== 0
    if (isSignal && ncalls === 0) return this
    if (this.#id === NONE) this.#id = this.#create()
    this.#hold()
    if (isSignal) native.eventActivateSignal(this.#core.handle, this.#id, what, ncalls)
    else crossing.eventActivate(this.#core.handle, this.#id, what)
    return this
  }

  /**
   * Which of the bits the event is pending or active for (`event_pending`).
   *
   * @param mask bits of `EV`; default all
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`,
   *   `ERR_EVENT_BAD_FLAGS`
   */
  pending(mask = 0xff): number {
    this.#checkOpen()
    checkBits('mask', mask, 0xff)
    return this.#id === NONE ? 0 : crossing.eventPending(this.#core.handle, this.#id, mask)
  }

  /**
   * When the event times out, in wall-clock milliseconds since 1970; `undefined` without a deadline.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  get expiresAt(): number | undefined {
    this.#checkOpen()
    if (this.#id === NONE) return undefined
    const at = native.eventExpiresAt(this.#core.handle, this.#id)
    return at < 0 ? undefined : at
  }

  /**
   * Deletes the event and has the loop call `callback` once everything queued before it has run, after which
   * the event is closed (`event_finalize`). Until then the event can be neither added nor activated. A second
   * call replaces the callback.
   *
   * @param callback called with the event
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`
   */
  finalize(callback?: (event: Event) => void): this {
    this.#checkOpen()
    if (callback === undefined) this.#core.finalizers.delete(this)
    else this.#core.finalizers.set(this, checkCallback('callback', callback))
    if (this.#life === Life.OPEN) {
      if (this.#id === NONE) this.#id = this.#create()
      this.#hold()
      native.eventFinalize(this.#core.handle, this.#id)
      this.#life = Life.FINALIZING
    }
    return this
  }

  /**
   * Deletes the event for good (`event_free`). Idempotent, and safe in its own callback. Every later call but
   * this one throws `ERR_EVENT_CLOSED`. An event that is being finalized is closed by its finalizer.
   */
  close(): void {
    if (this.closed || this.#life !== Life.OPEN) return
    this.#delete()
    if (this.#named) {
      crossing.eventFree(this.#core.handle, this.#id)
      this.#forgetName()
    }
    this.#life = Life.CLOSED
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #checkOpen(): void {
    if (this.#life === Life.CLOSED) throw closedError('event')
    if (this.#core.closed) throw closedError('base')
  }

  #create(): number {
    const age = this.#core.turns - this.#turn
    return crossing.eventCreate(this.#core.handle, this.#fd, this.#bits(), age)
  }

  /** What it was made with, and above that its priority, in one number. */
  #bits(): number {
    return this.#what | (this.priority << 8)
  }

  #hold(): void {
    this.#core.events[this.#id & NO_SLOT] = this
  }

  #delete(): void {
    if (this.#id === NONE || this.#life !== Life.OPEN) return
    this.#core.events[this.#id & NO_SLOT] = undefined
    if (this.#named) {
      crossing.eventDel(this.#core.handle, this.#id)
    } else {
      crossing.eventFree(this.#core.handle, this.#id)
      this.#id = NONE
    }
  }

  #forgetName(): void {
    forgotten.unregister(this)
    this.#core.named.delete(this.#id & NO_SLOT)
    this.#core.kept.delete(this)
    this.#named = false
    this.#id = NONE
  }

  /**
   * Lets other threads name the events of a base.
   *
   * @internal
   */
  static share(core: Core): void {
    core.shared = true
    for (const event of core.named.values()) core.kept.add(event)
  }

  /**
   * Takes the slot that {@link native} made for an event which fires once.
   *
   * @internal
   */
  static adopt(event: Event, id: number): void {
    event.#id = id
    event.#hold()
  }

  /**
   * Calls the callback that a code of the native loop names.
   *
   * @internal
   * @param inContext in the asynchronous context the event was made in, not the loop's
   */
  static deliver(core: Core, code: number, inContext: boolean): void {
    const slot = code & NO_SLOT
    const event = core.events[slot] ?? core.named.get(slot)
    if (event === undefined) return
    let what = code >>> 24
    if ((what & RELEASED) !== 0) {
      core.events[slot] = undefined
      if (event.#named) event.#forgetName()
      event.#id = NONE
      if (what === ORPHANED) return
      what &= ~RELEASED
    } else if (event.#named && native.eventIsIdle(core.handle, event.#id)) {
      core.events[slot] = undefined
    }
    core.turns += 1
    event.#turn = core.turns
    core.running = event
    if (event.#life === Life.FINALIZING) {
      event.#life = Life.CLOSED
      const finalizer = core.finalizers.get(event)
      core.finalizers.delete(event)
      finalizer?.(event)
    } else if (inContext) {
      event.#context.runInAsyncScope(event.#callback, undefined, event.#fd, what, event)
    } else {
      event.#callback(event.#fd, what, event)
    }
  }
}

/** The number that stands for a timeout in a native call. */
function timeoutOf(core: Core, timeout: number | CommonTimeout): number {
  return typeof timeout === 'number'
    ? checkTimeout('timeout', timeout)
    : CommonTimeout.nativeOf(timeout, core)
}
