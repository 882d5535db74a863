/** The event base: it makes events, and runs and ends the loop. */

import { checkAbortSignal } from './abort.js'
import { ALL, badFlags, EVENT, IO, RESULTS } from './bits.js'
import { callAll } from './call-all.js'
import { type CommonTimeout, makeCommonTimeout } from './common-timeout.js'
import type { EventConfig } from './config.js'
import { CountFlag, EV, type LoopResult, type Method, type SignalMethod } from './constants.js'
import { Core } from './core.js'
import { publishBase } from './diagnostics.js'
import { closedError } from './errors.js'
import { Event, type EventCallback, type EventOptions } from './event.js'
import { eventRecords, type EventRecord } from './event-records.js'
import { Watch, waitOnce } from './iterate.js'
import { showAs, type Shown } from './inspect.js'
import { fetchMessages, forget, introduce, listen } from './log.js'
import { loop } from './loop.js'
import { native, NO_TIMEOUT } from './native.js'
import { RemoteBase, type SharedBase } from './remote.js'
import { run } from './run.js'
import { defaultSettings, settingsOf } from './settings.js'
import { shareSignal, type Signal as SignalName, signalNumber, unshareSignals } from './signals.js'
import { type Stats, statsOf } from './stats.js'
import { ends } from './unsettled.js'
import {
  checkBits,
  checkBoolean,
  checkCallback,
  checkFd,
  checkInteger,
  checkOptions,
  checkPriority,
  checkTimeout,
  outOfRange,
  wrongType,
} from './validate.js'
import {
  type CheckCallback,
  type PrepareCallback,
  watchCheck,
  type Watcher,
  watchPrepare,
} from './watcher.js'

/**
 * An event base: waits for descriptors, signals and deadlines, and runs callbacks.
 *
 * There are two ways to run it. {@link loop} and {@link dispatch} are libevent's: they block JavaScript, and no timer
 * of Node, no promise and no `nextTick` runs before they return. {@link run} runs inside the host's own event loop,
 * beside everything else. In both, callbacks run on this thread.
 *
 * Once the base is closed, every member except {@link closed} and {@link close} throws an `EventError` with the code
 * `ERR_EVENT_CLOSED`.
 *
 * ```ts
 * import { EventBase } from 'event-base'
 *
 * using base = new EventBase()
 * base.newTimer(() => console.log('now')).add(0.5)
 * base.dispatch()
 * ```
 */
export class EventBase {
  readonly #core: Core
  #keepsAlive = true

  /**
   * @param config Default: the best backend, one priority, no limits
   * @throws {EventError} `ERR_EVENT_NO_METHOD` when no backend fits, `ERR_INVALID_ARG_TYPE`
   * @throws {SystemError} `EMFILE`, `ENFILE`, `ENOMEM` when the kernel provides no descriptor
   */
  constructor(config?: EventConfig) {
    const settings = config === undefined ? defaultSettings() : settingsOf.get(config)
    if (settings === undefined) throw wrongType('config', 'an instance of EventConfig', config)
    listen()
    let owner
    try {
      owner = native.createBase(settings)
    } finally {
      fetchMessages()
    }
    this.#core = new Core(owner, this, settings.priorities)
    introduce(this.#core.handle, this)
    publishBase(this, 'created')
  }

  /** The backends of this build, in order of preference (`event_get_supported_methods`). */
  static supportedMethods(): Method[] {
    return native.supportedMethods() as Method[]
  }

  /** The name of the backend (`event_base_get_method`). */
  get method(): Method {
    this.#core.check()
    return native.baseMethod(this.#core.handle) as Method
  }

  /**
   * How the base receives signals: by a handler, by a descriptor with `BaseFlag.USE_SIGNALFD`, or by the backend if it
   * is kqueue (`event_base_get_signal_method`).
   */
  get signalMethod(): SignalMethod {
    this.#core.check()
    return native.baseSignalMethod(this.#core.handle) as SignalMethod
  }

  /** The features of the backend: bits of `Feature` (`event_base_get_features`). */
  get features(): number {
    this.#core.check()
    return native.baseFeatures(this.#core.handle)
  }

  /** The number of priorities (`event_base_get_npriorities`). */
  get priorities(): number {
    this.#core.check()
    return this.#core.priorities
  }

  /** Whether the base was closed. */
  get closed(): boolean {
    return this.#core.closed
  }

  /**
   * Makes an event on a descriptor (`event_new`). With `fd` -1 and `what` 0 it makes a user event, which only
   * {@link Event.activate} makes active. The event is not pending until {@link Event.add} is called.
   *
   * @param fd an open descriptor, which the caller continues to own
   * @param what READ, WRITE and CLOSED of `EV`, with ET and PERSIST; TIMEOUT is accepted and ignored
   * @param callback called when the event fires
   * @param options `priority` of the event; `persist` adds the PERSIST bit
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`, `ERR_EVENT_CLOSED`
   */
  newEvent(fd: number, what: number, callback: EventCallback, options?: EventOptions): Event {
    this.#core.check()
    checkBits('what', what, EVENT)
    if ((what & EV.SIGNAL) !== 0) badFlags('newSignal() makes a signal event')
    checkTarget(fd, what & IO)
    if ((what & EV.ET) !== 0 && (what & IO) === 0) badFlags('EV.ET needs an interest in a descriptor')
    return this.#makeEvent(fd, what & ~EV.TIMEOUT, callback, options)
  }

  /**
   * Makes a timer (`evtimer_new`). {@link Event.add} sets its timeout.
   *
   * @param callback called when the timeout has expired
   * @param options `persist` makes it repeat
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  newTimer(callback: EventCallback, options?: EventOptions): Event {
    this.#core.check()
    return this.#makeEvent(-1, 0, callback, options)
  }

  /**
   * Makes an event for a signal (`evsignal_new`). {@link Event.add} makes it pending. The loop calls the callback once
   * for each arrival of the signal, with the number of the signal in place of a descriptor.
   *
   * Every base that has a pending event for a signal and every listener of `process.on()` receive the signal, on
   * whichever thread it arrives. Only the default action of the process, such as ending on SIGINT, is suppressed.
   * Events of a worker stop receiving a signal when the main thread calls `process.on()` for it, until an event for it
   * is added again.
   *
   * @param signal a name, such as `'SIGHUP'`, or a number
   * @param callback called with the number, `EV.SIGNAL`, and the event
   * @param options `persist: false` makes an event that is deleted when the signal arrives; `priority` of the event
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` for an unknown signal, `ERR_EVENT_CLOSED`
   */
  newSignal(signal: SignalName, callback: EventCallback, options?: EventOptions): Event {
    this.#core.check()
    const number = signalNumber(signal)
    const given = checkOptions(options)
    const what = given.persist === undefined ? EV.SIGNAL | EV.PERSIST : EV.SIGNAL
    const event = this.#makeEvent(number, what, callback, given)
    shareSignal(this.#core, number)
    return event
  }

  #makeEvent(fd: number, what: number, callback: EventCallback, options: EventOptions | undefined): Event {
    const core = this.#core
    checkCallback('callback', callback)
    let priority = core.priorities >> 1
    let bits = what
    const given = checkOptions(options)
    if (given.priority !== undefined) {
      priority = checkPriority('options.priority', given.priority, core.priorities)
    }
    if (checkBoolean('options.persist', given.persist)) bits |= EV.PERSIST
    return new Event({ core, fd, what: bits, priority, callback })
  }

  /**
   * Calls a callback once, when a descriptor is ready or a timeout has expired (`event_base_once`). The caller receives
   * no event.
   *
   * @param fd an open descriptor; -1 for a timer
   * @param what READ, WRITE or CLOSED, or TIMEOUT alone for a timer
   * @param callback called once
   * @param timeout milliseconds. Default for a timer: 0
   * @throws {EventError} `ERR_EVENT_BAD_FLAGS` if `what` has SIGNAL or PERSIST, or none of READ, WRITE, CLOSED and
   *   TIMEOUT; `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   * @throws {SystemError} the same as {@link Event.add}
   */
  once(fd: number, what: number, callback: EventCallback, timeout?: number): void {
    const core = this.#core
    core.check()
    checkBits('what', what, ALL)
    if ((what & (EV.SIGNAL | EV.PERSIST)) !== 0) badFlags('once() accepts neither EV.SIGNAL nor EV.PERSIST')
    const interest = what & IO
    if (interest === 0 && (what & EV.TIMEOUT) === 0) badFlags('The event has no interest and no timeout')
    checkTarget(fd, interest)
    checkCallback('callback', callback)
    const duration = timeout === undefined ? NO_TIMEOUT : checkTimeout('timeout', timeout)
    const event = new Event({ core, fd, what: interest, priority: core.priorities >> 1, callback })
    Event.adopt(event, native.eventOnce(core.handle, fd, what, duration))
  }

  /**
   * Waits until a descriptor is ready. The promise settles while {@link run} runs the base: call it before the `await`. If
   * a blocking {@link loop} runs the base, the promise settles, as every promise does, after the loop has returned. If no
   * loop runs it, the promise never settles, and the process emits an `EventBaseWarning` when it ends.
   *
   * @param fd an open descriptor
   * @param what READ, WRITE or CLOSED of `EV`
   * @param options `timeout` in milliseconds, after which the result is TIMEOUT; `signal`, an abort signal
   * @returns the result bits
   * @throws {EventError} as a rejection: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`, and
   *   `ERR_EVENT_CLOSED`, also when the base is closed during the wait. An abort rejects the promise with the reason of
   *   the abort signal
   * @throws {SystemError} as a rejection, the same as {@link Event.add}
   */
  async wait(
    fd: number,
    what: number,
    options?: { timeout?: number; signal?: AbortSignal },
  ): Promise<number> {
    const { timeout, signal } = checkOptions(options)
    if (timeout !== undefined) checkTimeout('options.timeout', timeout)
    return await waitOnce(
      this.#core,
      this.#interest(fd, what),
      timeout,
      checkAbortSignal('options.signal', signal),
    )
  }

  /**
   * Iterates over the readiness of a descriptor, for `for await`: each item is the result bits. The event is closed
   * when the iteration ends.
   *
   * Without ET, the descriptor is watched only while an item is awaited. With ET, it is watched all the time, and edges
   * between two items are merged into one item.
   *
   * @param fd an open descriptor
   * @param what READ, WRITE or CLOSED of `EV`, with ET
   * @param options `signal`, an abort signal; when it is aborted, the iteration throws its reason
   * @throws {EventError} the same as {@link wait}
   * @throws {SystemError} the same as {@link Event.add}
   */
  watch(
    fd: number,
    what: number,
    options?: { signal?: AbortSignal },
  ): AsyncIterableIterator<number, undefined> {
    const { signal } = checkOptions(options)
    return new Watch(this.#core, this.#interest(fd, what), checkAbortSignal('options.signal', signal))
  }

  #interest(fd: number, what: number): { fd: number; what: number; priority: number } {
    checkBits('what', what, IO | EV.ET)
    checkFd('fd', fd)
    if ((what & IO) === 0) badFlags('The event has no interest')
    return { fd, what, priority: this.#core.priorities >> 1 }
  }

  /**
   * Makes a queue for a duration that many events use (`event_base_init_common_timeout`). {@link Event.add} takes the
   * queue in place of a number. The time to add, delete or fire such an event does not depend on the number of events
   * in the queue. In every other respect the event behaves as if it was added with the number.
   *
   * Calls with the same duration return the same queue. A queue exists as long as its base.
   *
   * @param ms milliseconds, 0 or more; fractions count, to the microsecond
   * @throws {EventError} `ERR_OUT_OF_RANGE`, also for the 257th different duration of a base; `ERR_INVALID_ARG_TYPE`,
   *   `ERR_EVENT_CLOSED`
   */
  commonTimeout(ms: number): CommonTimeout {
    const core = this.#core
    core.check()
    checkTimeout('ms', ms)
    return makeCommonTimeout(core, ms, native.baseCommonTimeout(core.handle, ms))
  }

  /**
   * Runs the loop until nothing is pending or it is stopped (`event_base_dispatch`). Blocks JavaScript.
   *
   * @throws the same as {@link loop}
   */
  dispatch(): LoopResult {
    return this.loop(0)
  }

  /**
   * Runs the loop on this thread (`event_base_loop`). Blocks JavaScript: only callbacks of this base run until it
   * returns. A worker that is blocked here can be terminated.
   *
   * If a callback throws, the loop ends and this method throws the exception. Events that are still active run in the
   * next loop.
   *
   * @param flags bits of `LoopFlag`: with ONCE, the loop waits until events are active, runs them and returns; with
   *   NONBLOCK, it runs the events that are ready now and returns; with NO_EXIT_ON_EMPTY, it waits although nothing is
   *   pending
   * @returns `LoopResult.EMPTY` if the loop ended because nothing was pending, else `LoopResult.STOPPED`
   * @throws {EventError} `ERR_EVENT_REENTRANT` inside a callback of this base, `ERR_EVENT_CLOSED`,
   *   `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`
   * @throws {SystemError} of the system call in which the backend waits, such as `epoll_wait`
   */
  loop(flags = 0): LoopResult {
    this.#core.check()
    return loop(this.#core, flags)
  }

  /**
   * Runs the loop inside the host's own event loop: timers, promises, `net` and `fs` continue as usual, `nextTick` and
   * microtasks run after each callback, and in a callback AsyncLocalStorage has the value that it had where the event
   * was made. If a callback throws, the exception is uncaught, as in any callback of Node; the loop continues if the
   * process does.
   *
   * @param options `signal`, an abort signal, ends the run
   * @returns the same as {@link loop}; `LoopResult.STOPPED` if the base is closed
   * @throws {EventError} as a rejection: `ERR_EVENT_REENTRANT` while the loop is running, `ERR_EVENT_CLOSED`,
   *   `ERR_INVALID_ARG_TYPE`. An abort rejects the promise with the reason of the abort signal
   * @throws {SystemError} as a rejection: of the system call in which the backend waits, such as `epoll_wait`, or of
   *   the one that makes the host watch the base
   */
  async run(options?: { signal?: AbortSignal }): Promise<LoopResult> {
    this.#core.check()
    const { signal } = checkOptions(options)
    this.#core.watchesHost = false
    return await run(this.#core, {
      flags: 0,
      keepAlive: this.#keepsAlive,
      signal: checkAbortSignal('options.signal', signal),
    })
  }

  /**
   * Adds a watcher that is called in every pass of the loop just before it waits (`evwatch_prepare_new`). The
   * callback can query the next deadline of another library.
   *
   * The argument is the time in milliseconds that the loop is going to wait: 0 with `LoopFlag.NONBLOCK` or while an
   * event is active, `undefined` if there is no deadline. If the callback adds, activates or deletes events, the loop
   * computes the wait again. Under {@link run} the callback is called before each poll, with the time that the host
   * waits if nothing is ready.
   *
   * Watchers are called in the order in which they were made. A watcher that another watcher's callback makes is first
   * called in the next pass. A loop that has only watchers is empty. An exception of a watcher's callback is handled in
   * the same way as one of an event's callback; the next loop starts with the first watcher.
   *
   * @param callback called in every pass
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_EVENT_CLOSED`
   */
  onPrepare(callback: PrepareCallback): Watcher {
    this.#core.check()
    return watchPrepare(this.#core, checkCallback('callback', callback))
  }

  /**
   * Adds a watcher that is called in every pass of the loop just after it has waited, before timers and events are
   * dispatched (`evwatch_check_new`). In every other respect it is like a watcher of {@link onPrepare}.
   *
   * @param callback called in every pass
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_EVENT_CLOSED`
   */
  onCheck(callback: CheckCallback): Watcher {
    this.#core.check()
    return watchCheck(this.#core, checkCallback('callback', callback))
  }

  /** Makes {@link run} keep the process alive, which is the default. */
  ref(): this {
    return this.#setRef(true)
  }

  /** Lets the process end during a {@link run}. */
  unref(): this {
    return this.#setRef(false)
  }

  /** Whether {@link run} keeps the process alive. */
  hasRef(): boolean {
    this.#core.check()
    return this.#keepsAlive
  }

  #setRef(keepsAlive: boolean): this {
    this.#core.check()
    this.#keepsAlive = keepsAlive
    native.runSetRef(this.#core.handle, keepsAlive)
    return this
  }

  /**
   * Ends the loop after the current pass, or after a time (`event_base_loopexit`). If no loop is running, the next loop
   * ends after a single pass.
   *
   * @param after milliseconds from now. Default: after the current pass
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  loopExit(after?: number): this {
    this.#core.check()
    const duration = after === undefined ? NO_TIMEOUT : checkTimeout('after', after)
    native.baseLoopExit(this.#core.handle, duration)
    return this
  }

  /**
   * Ends the loop after the current callback (`event_base_loopbreak`). Active events stay active. If no loop is
   * running, the next loop returns immediately.
   */
  loopBreak(): this {
    this.#core.check()
    native.baseLoopBreak(this.#core.handle)
    return this
  }

  /** Ends the current pass after the current callback; the loop then polls again (`event_base_loopcontinue`). */
  loopContinue(): this {
    this.#core.check()
    native.baseLoopContinue(this.#core.handle)
    return this
  }

  /** Whether {@link loopExit} ended the last loop, or will end this one (`event_base_got_exit`). */
  get gotExit(): boolean {
    this.#core.check()
    return native.baseGotExit(this.#core.handle)
  }

  /** Whether {@link loopBreak} ended the last loop, or will end this one (`event_base_got_break`). */
  get gotBreak(): boolean {
    this.#core.check()
    return native.baseGotBreak(this.#core.handle)
  }

  /**
   * Wall-clock milliseconds since 1970; constant during the callbacks of one pass, unless the base was built with
   * `NO_CACHE_TIME` (`event_base_gettimeofday_cached`).
   */
  now(): number {
    this.#core.check()
    return native.baseNow(this.#core.handle)
  }

  /** Reads the monotonic clock, in milliseconds (`event_gettime_monotonic`). */
  monotonic(): number {
    this.#core.check()
    return native.baseMonotonic(this.#core.handle)
  }

  /** Sets the cached time to the current time, for callbacks that take long (`event_base_update_cache_time`). */
  updateCachedTime(): this {
    this.#core.check()
    native.baseUpdateCachedTime(this.#core.handle)
    return this
  }

  /**
   * Sets the number of priorities (`event_base_priority_init`). Events of a priority that no longer exists get
   * the least urgent one.
   *
   * @param count 1 to 255
   * @throws {EventError} `ERR_EVENT_ACTIVE` while any event is active, `ERR_INVALID_ARG_TYPE`,
   *   `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  setPriorities(count: number): this {
    this.#core.check()
    native.baseSetPriorities(this.#core.handle, checkInteger('count', count, 1, 255))
    if (count < this.#core.priorities) this.#core.counts.push(count)
    this.#core.priorities = count
    return this
  }

  /**
   * The sum of counters (`event_base_get_num_events`). An event with a descriptor and a deadline counts twice, and once
   * more while it is active.
   *
   * @param mask bits of `CountFlag`
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`, `ERR_EVENT_CLOSED`
   */
  countEvents(mask: number): number {
    this.#core.check()
    return native.baseCountEvents(this.#core.handle, checkBits('mask', mask, 7))
  }

  /**
   * The sum of the highest values that the counters have reached (`event_base_get_max_events`).
   *
   * @param mask bits of `CountFlag`
   * @param clear sets the highest values to 0
   * @throws {EventError} the same as {@link countEvents}
   */
  maxEvents(mask: number, clear = false): number {
    this.#core.check()
    checkBits('mask', mask, 7)
    return native.baseMaxEvents(this.#core.handle, mask, checkBoolean('clear', clear))
  }

  /**
   * A snapshot of every event that is pending or active (`event_base_foreach_event`). The order is: events on
   * descriptors by descriptor, events for signals, timers by deadline, events that are only active.
   */
  events(): EventRecord[] {
    this.#core.check()
    return eventRecords(this.#core)
  }

  /**
   * Every event that is pending or active, as text for people, one event per line (`event_base_dump_events`). The order
   * is: events on descriptors by descriptor, timers, events that are only active.
   *
   * The first number of a line is the event's {@link Event.id} in hexadecimal; a timeout is the wall-clock time of the
   * deadline, in seconds since 1970; `[NextTime]` marks events that are queued for the next pass.
   */
  dump(): string {
    this.#core.check()
    return native.baseDump(this.#core.handle)
  }

  /**
   * Counts of passes, waits, events and wake-ups, and with {@link EventConfig.measure} the times they took. A copy.
   */
  get stats(): Stats {
    this.#core.check()
    return statsOf(this.#core.handle, false)
  }

  /**
   * Sets everything in {@link stats} to 0.
   *
   * @returns the values before the call
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  resetStats(): Stats {
    this.#core.check()
    return statsOf(this.#core.handle, true)
  }

  /** The event whose callback runs now (`event_base_get_running_event`). */
  get runningEvent(): Event | undefined {
    this.#core.check()
    return this.#core.running
  }

  /**
   * Activates the events on a descriptor that have an interest in one of the bits. With TIMEOUT it activates those that
   * have a deadline (`event_base_active_by_fd`).
   *
   * @param fd a descriptor; -1 with TIMEOUT means every event without a descriptor that has a deadline
   * @param what bits of `EV`
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`, `ERR_EVENT_CLOSED`
   */
  activateByFd(fd: number, what: number): this {
    this.#core.check()
    checkInteger('fd', fd, -1, 0x7fff_ffff)
    native.baseActivateByFd(this.#core.handle, fd, checkBits('what', what, RESULTS))
    return this
  }

  /**
   * Replaces the kernel objects of the base and registers every event with the new ones (`event_reinit`). A forked
   * child must call this first: until then every other call in the child throws `ERR_EVENT_FORKED`. Node itself never
   * forks without `exec`, so this is for children that native code forks. In other processes it has no visible effect.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   * @throws {SystemError} `EMFILE`, `ENFILE`, `ENOMEM` when the kernel provides no descriptor; the call can then be
   *   repeated. If some events cannot be registered, the error of the first one; all other events are registered
   */
  reinit(): this {
    this.#core.check()
    native.baseReinit(this.#core.handle)
    return this
  }

  /**
   * Activates the events for a signal, as if it had arrived once (`event_base_active_by_signal`).
   *
   * @param signal a name, or any number; a number without events is not an error
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  activateBySignal(signal: SignalName): this {
    this.#core.check()
    native.baseActivateBySignal(this.#core.handle, signalNumber(signal, -0x8000_0000, 0x7fff_ffff))
    return this
  }

  /**
   * Lets other threads of this process use the base, through {@link connect}. Returns a plain object to send to them;
   * every call returns an equal object. Other threads refer to events by {@link Event.id}. A shared base keeps every
   * event whose id was read until the event is closed.
   *
   * Sharing keeps neither the base nor its loop alive: a loop with nothing pending ends, and a base that is neither
   * referenced nor running can be collected.
   *
   * @throws {EventError} `ERR_EVENT_BAD_FLAGS` for a base built with NOLOCK, `ERR_EVENT_CLOSED`
   */
  share(): SharedBase {
    const core = this.#core
    core.check()
    const eventBase = native.baseShare(core.handle)
    Event.share(core)
    return { eventBase }
  }

  /**
   * Connects to a base that another thread, or this one, has shared.
   *
   * @param token the result of {@link share}
   * @throws {EventError} `ERR_EVENT_CLOSED` if the base was closed or belongs to another process,
   *   `ERR_INVALID_ARG_TYPE`
   */
  static connect(token: SharedBase): RemoteBase {
    return new RemoteBase(token)
  }

  /**
   * Deletes every event, closes everything that the base owns, and releases the kernel's objects (`event_base_free`).
   * Idempotent. A running loop returns as after {@link loopBreak}, and promises of {@link wait} and {@link watch} are
   * rejected with `ERR_EVENT_CLOSED`. Descriptors of events stay open.
   *
   * @throws the error of a part of the base that fails to close: a system error such as `EBADF`; for several parts an
   *   `AggregateError` with the properties of the first. All other parts are closed
   */
  close(): void {
    const core = this.#core
    if (core.closed) return
    core.closed = true
    forget(core.handle, this)
    ends(core)
    core.events.length = 0
    core.named.clear()
    core.kept.clear()
    core.finalizers.clear()
    core.watchers.clear()
    callAll('Parts of the base failed to close', [
      () => unshareSignals(core),
      () => native.baseClose(core.handle),
      ...[...core.waiting].map((notify) => () => notify(closedError('base'))),
      () => publishBase(this, 'closed'),
    ])
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  /** @internal */
  static coreOf(base: EventBase): Core {
    return base.#core
  }

  static {
    showAs(EventBase, 'EventBase', (base): Shown => {
      const core = base.#core
      if (core.closed) return { closed: true }
      const active = native.baseCountEvents(core.handle, CountFlag.ACTIVE)
      return {
        method: native.baseMethod(core.handle),
        running: core.loop ?? false,
        keepsAlive: base.#keepsAlive,
        priorities: core.priorities,
        // An event that waits for a descriptor and a deadline counts twice.
        pending: native.baseCountEvents(core.handle, CountFlag.ADDED) - active,
        active,
      }
    })
  }
}

/** Checks the descriptor of an event, which must be -1 if the event has no interest in one. */
function checkTarget(fd: number, interest: number): void {
  if (interest !== 0) checkFd('fd', fd)
  else if (checkInteger('fd', fd, -1, 0x7fff_ffff) !== -1) {
    throw outOfRange('fd', '-1 for an event without EV.READ, EV.WRITE and EV.CLOSED', fd)
  }
}
