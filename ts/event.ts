/** One event of a base. */

import { AsyncResource } from 'node:async_hooks'

import { ALL, REGISTERED, RESULTS } from './bits.js'
import { CommonTimeout } from './common-timeout.js'
import { EV } from './constants.js'
import type { Core } from './core.js'
import { closedError, EventError } from './errors.js'
import type { EventBase } from './event-base.js'
import { namesOfBits, nameOfFunction, showAs, type Shown } from './inspect.js'
import { crossing, native, NO_SLOT, NO_TIMEOUT, type NativeHandle, ORPHANED, RELEASED } from './native.js'
import { nameOfSignal } from './signals.js'
import { checkBits, checkCallback, checkInteger, checkPriority, checkTimeout } from './validate.js'

/**
 * Called when an event fires.
 *
 * @param fd the event's descriptor, or the number of its signal; -1 for timers and user events
 * @param what the reason: bits of `EV`
 * @param event the event itself
 */
export type EventCallback = (fd: number, what: number, event: Event) => void

/** Options of an event. */
export interface EventOptions {
  /** 0 is the most urgent. Default: the middle one of the base's priorities. */
  priority?: number
  /**
   * Whether the event stays pending after it fired. Default: `false` for {@link EventBase.newEvent}, unless `what` has
   * PERSIST, and for {@link EventBase.newTimer}; `true` for {@link EventBase.newSignal}.
   */
  persist?: boolean
}

/** `destroy` hooks do not run when the resource of an event is collected, so the resource needs no finalizer. */
const RESOURCE = Object.freeze({ requireManualDestroy: true })

/** The id of an event without a native slot. */
const NONE = -1

/** Frees the slots of named events that were collected. */
const forgotten: FinalizationRegistry<{ handle: NativeHandle; id: number }> = new FinalizationRegistry(
  ({ handle, id }) => {
    try {
      crossing.eventFree(handle, id)
    } catch {
      // The base was closed, which freed its events.
    }
  },
)

/** The states of an event. */
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
 * An event of a base. It waits for the readiness of a descriptor, for a signal, for a deadline, or for a descriptor or
 * a signal with a deadline. A user event waits for none of them: only {@link Event.activate} makes it active.
 * {@link EventBase.newEvent}, {@link EventBase.newTimer} and {@link EventBase.newSignal} make events; {@link Event.add}
 * makes an event pending.
 *
 * The caller owns the descriptor: the event never closes it, and it must be open while the event is pending. Delete the
 * event before closing the descriptor; otherwise the event no longer fires, and a warning is logged.
 *
 * An event can be used only on the thread of its base. Once the event or its base is closed, every member that uses the
 * base throws `ERR_EVENT_CLOSED`.
 */
export class Event {
  readonly #core: Core
  readonly #fd: number
  readonly #what: number
  readonly #callback: EventCallback
  readonly #context: AsyncResource = new AsyncResource('EventBase', RESOURCE)
  #priority: number
  /** The number of entries of `Core.counts` that are applied to the priority. */
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

  /** The number of the signal (`event_get_signal`); `undefined` if this is not a signal event. */
  get signal(): number | undefined {
    return this.#what & EV.SIGNAL ? this.#fd : undefined
  }

  /** The bits that the event was made with (`event_get_events`). */
  get what(): number {
    return this.#what
  }

  /** The base that the event belongs to (`event_get_base`). */
  get base(): EventBase {
    return this.#core.owner
  }

  /** Whether the event or its base was closed. */
  get closed(): boolean {
    return this.#life === Life.CLOSED || this.#core.closed
  }

  /**
   * A number that identifies this event among all events that its base has ever had. It is valid on other threads too:
   * see {@link EventBase.share}.
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
   * The priority of the event (`event_get_priority`, `event_priority_set`); 0 is the most urgent.
   *
   * Setting it throws `ERR_EVENT_ACTIVE` while the event is active, `ERR_OUT_OF_RANGE` for a priority that the base
   * does not have, `ERR_EVENT_CLOSED` after {@link close}.
   */
  get priority(): number {
    const { counts } = this.#core
    // Each lower number of priorities that was set since then limits the priority.
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
   * Makes the event pending (`event_add`): registers its interest and, if there is a timeout, sets a deadline.
   *
   * On a pending event, a call without a timeout changes nothing, and a call with a timeout replaces the previous
   * timeout. A timeout of 0 expires in the next pass. A persistent event uses the timeout as its period. The timeout
   * counts from the time that {@link EventBase.now} returns, which is constant during the callbacks of one pass.
   *
   * @param timeout milliseconds, 0 or more; fractions count, to the microsecond; or a {@link CommonTimeout} of the same
   *   base
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_EVENT_FINALIZING`, `ERR_INVALID_ARG_TYPE`,
   *   `ERR_OUT_OF_RANGE`, also for a common timeout of another base; `ERR_EVENT_BAD_FLAGS` when events of one
   *   descriptor disagree on edge-triggering; `ERR_EVENT_BLOCKING` in debug mode for a descriptor in blocking mode, see
   *   {@link EventConfig.debug}
   * @throws {SystemError} of `epoll_ctl`: `EPERM` for a regular file or a directory, `EBADF` for a closed descriptor,
   *   `ENOSPC` or `ENOMEM` at the kernel's limits. Of `sigaction`: `EINVAL` for a signal that cannot be caught, such as
   *   SIGKILL. If this method throws, the event is unchanged
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
   * Removes the deadline and the period of the event; its interest stays registered (`event_remove_timer`).
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
   * Makes the event active, whether or not it is pending (`event_active`): its callback runs in this pass or the next.
   * If the event is already active, the bits are added to its result.
   *
   * @param what the result: TIMEOUT, READ, WRITE, SIGNAL and CLOSED of `EV`. Default 0
   * @param ncalls for a signal event, the number of calls of its callback, 0 to 65535, in addition to calls that are
   *   due; with 0, this method does nothing. For other events the value has no effect
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
   * The deadline in wall-clock milliseconds since 1970; `undefined` if the event has no deadline.
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
   * Deletes the event and queues its finalizer, which closes the event and calls `callback` (`event_finalize`). The
   * finalizer runs after the callbacks that were queued before it. Until then {@link add} throws and {@link activate}
   * has no effect. A second call replaces the callback.
   *
   * @param callback called with the event
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`
   */
  finalize(callback?: (event: Event) => void): this {
    this.#checkOpen()
    if (callback === undefined) this.#core.finalizers.delete(this)
    else this.#core.finalizers.set(this, checkCallback('callback', callback))
    if (this.#id === NONE) this.#id = this.#create()
    this.#hold()
    native.eventFinalize(this.#core.handle, this.#id)
    this.#life = Life.FINALIZING
    return this
  }

  /**
   * Deletes and frees the event (`event_free`). Idempotent, and safe in its own callback. If the event is being
   * finalized, this method does nothing: the finalizer closes the event.
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

  /** The bits of the event in the lowest eight bits, and its priority in the bits above them. */
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
   * Sets the id of an event that the native layer has added and that fires once.
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

  static {
    showAs(Event, 'Event', (event): Shown => {
      const core = event.#core
      const isSignal = (event.#what & EV.SIGNAL) !== 0
      const parts = {
        fd: isSignal || event.#fd < 0 ? undefined : event.#fd,
        signal: isSignal ? (nameOfSignal(event.#fd) ?? event.#fd) : undefined,
        what: namesOfBits(event.#what),
        callback: nameOfFunction(event.#callback),
        priority: event.priority,
      }
      if (event.closed) return { ...parts, closed: true }
      const id = event.#id
      const expiresAt = id === NONE ? -1 : native.eventExpiresAt(core.handle, id)
      return {
        ...parts,
        pending: id === NONE ? false : (namesOfBits(crossing.eventPending(core.handle, id, ALL)) ?? false),
        expiresIn: expiresAt < 0 ? undefined : Math.round(expiresAt - native.baseNow(core.handle)),
        finalizing: event.#life === Life.FINALIZING ? true : undefined,
        running: core.running === event ? true : undefined,
      }
    })
  }
}

/** Checks a timeout, and returns the number that the native layer takes. */
function timeoutOf(core: Core, timeout: number | CommonTimeout): number {
  return typeof timeout === 'number'
    ? checkTimeout('timeout', timeout)
    : CommonTimeout.nativeOf(timeout, core)
}
