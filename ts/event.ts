/** One event of a base. */

import { AsyncResource } from 'node:async_hooks'

import { ALL, REGISTERED, RESULTS } from './bits.js'
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

/** Options of an event. */
export interface EventOptions {
  /** 0 is the most urgent. Default: the middle one of the base's priorities. */
  priority?: number
  /** The event stays pending after it fired. Default `false`. */
  persist?: boolean
}

/** No `destroy` hook runs when the resource of an event is collected, which needs no finalizer. */
const RESOURCE = Object.freeze({ requireManualDestroy: true })

/** The id of an event without a native slot. */
const NONE = -1

/** Frees the slots of named events that were collected. */
const forgotten: FinalizationRegistry<{ handle: NativeHandle; id: number }> = new FinalizationRegistry(
  ({ handle, id }) => {
    try {
      crossing.eventFree(handle, id)
    } catch {
      // The base was closed, and its events with it.
    }
  },
)

/** The life of an event. */
const Life = Object.freeze({ OPEN: 0, FINALIZING: 1, CLOSED: 2 })

/** The parts of an {@link Event}, which the caller has checked. */
export interface EventParts {
  core: Core
  fd: number
  what: number
  priority: number
  callback: EventCallback
}

/**
 * An event of a base: readiness of a descriptor, a signal, a deadline, or a combination of these; or a user event, which
 * only {@link Event.activate} makes active. Made by {@link EventBase.newEvent}, {@link EventBase.newTimer} and
 * {@link EventBase.newSignal}, pending once it is added.
 *
 * The descriptor is borrowed: the event never closes it, and it must be open while the event is pending. Delete the event
 * before closing the descriptor; otherwise the event stops, and a warning is logged.
 *
 * Usable on the thread of its base only. Once the event or its base is closed, every member that uses the base throws
 * `ERR_EVENT_CLOSED`.
 */
export class Event {
  readonly #core: Core
  readonly #fd: number
  readonly #what: number
  readonly #callback: EventCallback
  readonly #context: AsyncResource = new AsyncResource('EventBase', RESOURCE)
  #priority: number
  /** How many entries of `Core.counts` are applied to the priority. */
  #counts: number
  #id = NONE
  #life: number = Life.OPEN
  #named = false
  /** `Core.turns` when the event was made or last dispatched. */
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
   * A number that identifies this event among all that its base ever had, on other threads too: see
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
    // Each lower number of priorities that was set since has lowered the priority.
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
   * Makes the event pending (`event_add`): registers its interest, and with a timeout sets a deadline.
   *
   * On a pending event, a call without a timeout changes nothing, and a timeout replaces the one before. A timeout of 0
   * expires in the next pass. A persistent event uses the timeout as its period. The timeout counts from the time that
   * {@link EventBase.now} returns, which is constant during the callbacks of one pass.
   *
   * @param timeout milliseconds, 0 or more; fractions count, to the microsecond. Or a {@link CommonTimeout} of the same
   *   base
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_EVENT_FINALIZING`, `ERR_INVALID_ARG_TYPE`,
   *   `ERR_OUT_OF_RANGE`, also for a common timeout of another base; `ERR_EVENT_BAD_FLAGS` when events of one
   *   descriptor disagree on edge-triggering; `ERR_EVENT_BLOCKING` in debug mode for a descriptor in blocking mode, see
   *   {@link EventConfig.debug}
   * @throws {SystemError} of `epoll_ctl`: `EPERM` for a regular file or a directory, `EBADF` for a closed
   *   descriptor, `ENOSPC` or `ENOMEM` at the kernel's limits. Of `sigaction`: `EINVAL` for a signal that
   *   cannot be caught, such as SIGKILL. The event is unchanged then.
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
   * Removes the deadline and the period; the interest stays (`event_remove_timer`).
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
   * Makes the event active, pending or not (`event_active`): its callback runs in this pass or the next. The bits are
   * added to the result of an event that is active already.
   *
   * @param what the result: TIMEOUT, READ, WRITE, SIGNAL and CLOSED of `EV`. Default 0
   * @param ncalls for a signal event, how often to call its callback, in addition to calls that are due; 0 does nothing.
   *   Accepted without effect for other events
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
   * The bits that the event is pending or active for (`event_pending`).
   *
   * @param mask bits of `EV` to return. Default all
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`,
   *   `ERR_EVENT_BAD_FLAGS`
   */
  pending(mask: number = ALL): number {
    this.#checkOpen()
    checkBits('mask', mask, ALL)
    return this.#id === NONE ? 0 : crossing.eventPending(this.#core.handle, this.#id, mask)
  }

  /**
   * The deadline in wall-clock milliseconds since 1970; `undefined` without one.
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
   * Deletes the event, and makes the loop call `callback` after everything queued before it; then the event is closed
   * (`event_finalize`). Until then it can be neither added nor activated. A second call replaces the callback.
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
   * Deletes and frees the event (`event_free`). Idempotent, and safe in its own callback. An event that is being finalized
   * is closed by its finalizer instead.
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

  /** Its bits, and above the lowest eight its priority. */
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
   * Lets other threads use the events of a base.
   *
   * @internal
   */
  static share(core: Core): void {
    core.shared = true
    for (const event of core.named.values()) core.kept.add(event)
  }

  /**
   * Sets the id of an event that the native layer has added, to fire once.
   *
   * @internal
   */
  static adopt(event: Event, id: number): void {
    event.#id = id
    event.#hold()
  }

  /**
   * Runs the callback of the event that a code of the native loop names.
   *
   * @internal
   * @param inContext whether it runs in the asynchronous context in which the event was made, not in the loop's
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

/** A timeout as the native layer takes it. */
function timeoutOf(core: Core, timeout: number | CommonTimeout): number {
  return typeof timeout === 'number'
    ? checkTimeout('timeout', timeout)
    : CommonTimeout.nativeOf(timeout, core)
}
