/** The base: making events, running the loop, leaving it. */

import { isMainThread } from 'node:worker_threads'

import { checkAbortSignal } from './abort.js'
import { callAll } from './call-all.js'
import { type CommonTimeout, makeCommonTimeout } from './common-timeout.js'
import { EventConfig, setConstructor } from './config.js'
import { EV, LoopFlag, type LoopResult, type Method, type SignalMethod } from './constants.js'
import { Core } from './core.js'
import { tellOfBase } from './diagnostics.js'
import { closedError, EventError } from './errors.js'
import { Event, type EventCallback, type EventOptions } from './event.js'
import { Watch, waitOnce } from './iterate.js'
import { fetchMessages, forget, introduce, listen } from './log.js'
import { crossing, isWatcherStep, native, NO_SLOT, NO_TIMEOUT, StepCode } from './native.js'
import { RemoteBase, type SharedBase } from './remote.js'
import { run } from './run.js'
import { shareSignal, type Signal as SignalName, signalNumber, unshareSignals } from './signals.js'
import { type Stats, statsOf } from './stats.js'
import {
  checkBits,
  checkBoolean,
  checkCallback,
  checkFd,
  checkInteger,
  checkOptions,
  checkPriority,
  checkTimeout,
  wrongType,
} from './validate.js'
import {
  type CheckCallback,
  deliverWatcher,
  type PrepareCallback,
  watchCheck,
  type Watcher,
  watchPrepare,
} from './watcher.js'

const INTERESTS = EV.READ | EV.WRITE | EV.CLOSED
const EVENT_BITS = EV.TIMEOUT | INTERESTS | EV.SIGNAL | EV.PERSIST | EV.ET
const RESULT_BITS = EV.TIMEOUT | INTERESTS | EV.SIGNAL
const LOOP_BITS = LoopFlag.ONCE | LoopFlag.NONBLOCK | LoopFlag.NO_EXIT_ON_EMPTY

/** One event, as {@link EventBase.events} shows it. */
export interface EventRecord {
  /** Names it, as {@link Event.id} does, while it is pending. */
  id: number
  /** Its descriptor, or the number of its signal; -1 for timers and user events. */
  fd: number
  /** The bits it was made with. */
  what: number
  /** The bits it waits for now. */
  pending: number
  /** The bits its callback will be called with, once it is active. */
  result: number
  /** Whether its callback is due. */
  active: boolean
  /** Its priority. */
  priority: number
  /** When it times out, in wall-clock milliseconds since 1970. */
  expiresAt: number | undefined
  /** The event; `undefined` for the internal ones of `event-base/net`. */
  event: Event | undefined
}

/**
 * An event base: waits for descriptors and deadlines, and calls back.
 *
 * Two ways to run it. {@link loop} and {@link dispatch} are libevent's: they block JavaScript, so that no timer of
 * Node's, no promise and no `nextTick` runs before they return. {@link run} takes its turns inside the host's own
 * event loop, beside everything else. Either way callbacks run on this thread.
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
  #watchesHost = false
  #onStep: (step: number) => void = () => {}

  /**
   * @param config without one: the best backend, one priority, no limits
   * @throws {EventError} `ERR_EVENT_NO_METHOD` when no backend fits, `ERR_INVALID_ARG_TYPE`
   * @throws {SystemError} `EMFILE`, `ENFILE`, `ENOMEM` when the kernel has no descriptor left
   */
  constructor(config: EventConfig = new EventConfig()) {
    if (!(config instanceof EventConfig)) {
      throw wrongType('config', 'an instance of EventConfig', config)
    }
    listen()
    let owner
    try {
      owner = EventConfig.open(config)
    } finally {
      fetchMessages()
    }
    this.#core = new Core(owner, this, EventConfig.prioritiesOf(config))
    introduce(this.#core.handle, this)
    tellOfBase(this, 'created')
  }

  /** The backends of this build, in order of preference (`event_get_supported_methods`). */
  static supportedMethods(): Method[] {
    return native.supportedMethods() as Method[]
  }

  /**
   * The name of the backend (`event_base_get_method`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  get method(): Method {
    this.#core.check()
    return native.baseMethod(this.#core.handle) as Method
  }

  /**
   * How the base hears of signals: by a handler, by a descriptor if `BaseFlag.USE_SIGNALFD` asked for it, or by the
   * backend where that is kqueue (`event_base_get_signal_method`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  get signalMethod(): SignalMethod {
    this.#core.check()
    return native.baseSignalMethod(this.#core.handle) as SignalMethod
  }

  /**
   * What the backend can do: bits of `Feature` (`event_base_get_features`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  get features(): number {
    this.#core.check()
    return native.baseFeatures(this.#core.handle)
  }

  /**
   * The number of priorities (`event_base_get_npriorities`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  get priorities(): number {
    this.#core.check()
    return this.#core.priorities
  }

  /** Whether the base was closed. */
  get closed(): boolean {
    return this.#core.closed
  }

  /**
   * Makes an event on a descriptor, or with `fd` -1 and `what` 0 one that only {@link Event.activate} fires
   * (`event_new`). It is not pending yet: see {@link Event.add}.
   *
   * @param fd an open descriptor; it stays the caller's
   * @param what READ, WRITE and CLOSED of `EV`, with ET and PERSIST; TIMEOUT is accepted and ignored
   * @param callback called when it fires
   * @param options its priority, and `persist` for the PERSIST bit
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`, `ERR_EVENT_CLOSED`
   */
  newEvent(fd: number, what: number, callback: EventCallback, options?: EventOptions): Event {
    this.#core.check()
    checkBits('what', what, EVENT_BITS)
    if ((what & EV.SIGNAL) !== 0) badFlags('newSignal() makes a signal event')
    const interest = what & INTERESTS
    if (interest !== 0) checkFd('fd', fd)
    else checkInteger('fd', fd, -1, -1)
    if ((what & EV.ET) !== 0 && interest === 0) badFlags('EV.ET needs an interest in a descriptor')
    return this.#makeEvent(fd, what & ~EV.TIMEOUT, callback, options)
  }

  /**
   * Makes a timer (`evtimer_new`); {@link Event.add} sets it.
   *
   * @param callback called when the time has passed
   * @param options `persist` makes it repeat
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  newTimer(callback: EventCallback, options?: EventOptions): Event {
    this.#core.check()
    return this.#makeEvent(-1, 0, callback, options)
  }

  /**
   * Makes an event for a signal (`evsignal_new`); {@link Event.add} makes it pending. Its callback is called once for
   * each time the signal arrived, with the signal's number in place of a descriptor.
   *
   * Every base that waits for a signal gets it, on whichever thread it arrives, and so do listeners of
   * `process.on()`; only what the process would do of itself is left out, such as dying of SIGINT. In a worker,
   * `process.on()` of the main thread takes a signal away until an event for it is added again.
   *
   * @param signal a name, as `'SIGHUP'`, or a number
   * @param callback called with the number, `EV.SIGNAL`, and the event
   * @param options `persist: false` makes an event that is deleted when the signal arrives; its priority
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` for what names no signal, `ERR_EVENT_CLOSED`
   */
  newSignal(signal: SignalName, callback: EventCallback, options?: EventOptions): Event {
    this.#core.check()
    const number = signalNumber(signal)
    const given = checkOptions(options)
    const what = given?.persist === undefined ? EV.SIGNAL | EV.PERSIST : EV.SIGNAL
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
    if (given !== undefined) {
      if (given.priority !== undefined) {
        priority = checkPriority('options.priority', given.priority, core.priorities)
      }
      if (checkBoolean('options.persist', given.persist)) bits |= EV.PERSIST
    }
    return new Event({ core, fd, what: bits, priority, callback })
  }

  /**
   * Runs a callback once, with no event to keep (`event_base_once`).
   *
   * @param fd an open descriptor; -1 for a timer
   * @param what READ, WRITE or CLOSED, or TIMEOUT alone for a timer
   * @param callback called once
   * @param timeout milliseconds; a timer without one is due at once
   * @throws {EventError} `ERR_EVENT_BAD_FLAGS` for SIGNAL, PERSIST and no bit at all; `ERR_INVALID_ARG_TYPE`,
   *   `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   * @throws {SystemError} as {@link Event.add}
   */
  once(fd: number, what: number, callback: EventCallback, timeout?: number): void {
    const core = this.#core
    core.check()
    checkBits('what', what, 0xff)
    if ((what & (EV.SIGNAL | EV.PERSIST)) !== 0) badFlags('Neither a signal nor PERSIST fires once')
    const interest = what & INTERESTS
    if (interest === 0 && (what & EV.TIMEOUT) === 0) badFlags('There is nothing to wait for')
    if (interest !== 0) checkFd('fd', fd)
    else checkInteger('fd', fd, -1, -1)
    checkCallback('callback', callback)
    const duration = timeout === undefined ? NO_TIMEOUT : checkTimeout('timeout', timeout)
    const event = new Event({ core, fd, what: interest, priority: core.priorities >> 1, callback })
    Event.adopt(event, native.eventOnce(core.handle, fd, what, duration))
  }

  /**
   * Waits for a descriptor. Settles while the base is run; under the blocking {@link loop} only after that
   * returned, as every promise.
   *
   * @param fd an open descriptor
   * @param what READ, WRITE or CLOSED of `EV`
   * @param options `timeout` in milliseconds, after which the result is TIMEOUT; `signal` to stop waiting
   * @returns the result bits
   * @throws {EventError} as a rejection: `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`,
   *   and `ERR_EVENT_CLOSED`, also when the base is closed meanwhile; the signal's reason when it is aborted
   * @throws {SystemError} as a rejection, as {@link Event.add}
   */
  async wait(
    fd: number,
    what: number,
    options?: { timeout?: number; signal?: AbortSignal },
  ): Promise<number> {
    const { timeout, signal } = checkOptions(options) ?? {}
    if (timeout !== undefined) checkTimeout('options.timeout', timeout)
    return await waitOnce(
      this.#core,
      this.#interest(fd, what),
      timeout,
      checkAbortSignal('options.signal', signal),
    )
  }

  /**
   * Readiness after readiness of a descriptor, for `for await`: one item of result bits each. The event is
   * closed when the iteration ends.
   *
   * A descriptor is watched while an item is awaited; with ET all along, edges in between adding up to one item.
   *
   * @param fd an open descriptor
   * @param what READ, WRITE or CLOSED of `EV`, with ET
   * @param options `signal` ends the iteration by throwing its reason
   * @throws {EventError} as {@link wait}
   * @throws {SystemError} as {@link Event.add}
   */
  watch(
    fd: number,
    what: number,
    options?: { signal?: AbortSignal },
  ): AsyncIterableIterator<number, undefined> {
    const { signal } = checkOptions(options) ?? {}
    return new Watch(this.#core, this.#interest(fd, what), checkAbortSignal('options.signal', signal))
  }

  #interest(fd: number, what: number): { fd: number; what: number; priority: number } {
    checkBits('what', what, INTERESTS | EV.ET)
    checkFd('fd', fd)
    if ((what & INTERESTS) === 0) badFlags('There is nothing to wait for')
    return { fd, what, priority: this.#core.priorities >> 1 }
  }

  /**
   * Names a duration that many events share (`event_base_init_common_timeout`). Events that are
   * {@link Event.add}ed with it wait in a queue of their own, where adding, adding again, deleting and firing cost
   * the same however many there are; otherwise they behave as if they were added with the number.
   *
   * The same duration again is the same queue. A queue lasts as long as the base.
   *
   * @param ms milliseconds, 0 or more; fractions count, to the microsecond
   * @throws {EventError} `ERR_OUT_OF_RANGE`, also for the 257th duration of a base; `ERR_INVALID_ARG_TYPE`,
   *   `ERR_EVENT_CLOSED`
   */
  commonTimeout(ms: number): CommonTimeout {
    const core = this.#core
    core.check()
    checkTimeout('ms', ms)
    return makeCommonTimeout(core, ms, native.baseCommonTimeout(core.handle, ms))
  }

  /**
   * Runs the loop until there is nothing left to wait for or it is told to stop (`event_base_dispatch`). Blocks
   * JavaScript.
   *
   * @throws as {@link loop}
   */
  dispatch(): LoopResult {
    return this.loop(0)
  }

  /**
   * Runs the loop on this thread (`event_base_loop`). Blocks JavaScript: nothing but callbacks of this base
   * runs until it returns. A worker that waits in here can be terminated.
   *
   * What a callback throws ends the loop and is thrown here; events that were still due are called by the next
   * loop.
   *
   * @param flags bits of `LoopFlag`: ONCE returns after the first activity, NONBLOCK after what is ready now,
   *   NO_EXIT_ON_EMPTY waits even for nothing
   * @returns `LoopResult.EMPTY` when there was nothing left to wait for, else `LoopResult.STOPPED`
   * @throws {EventError} `ERR_EVENT_REENTRANT` inside a callback of this base, `ERR_EVENT_CLOSED`,
   *   `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`
   * @throws {SystemError} of `epoll_wait`
   */
  loop(flags = 0): LoopResult {
    const core = this.#core
    core.check()
    const { handle } = core
    crossing.loopEnter(handle, checkBits('flags', flags, LOOP_BITS))
    try {
      if (!isMainThread && !this.#watchesHost) this.#watchHost()
      for (;;) {
        const code = crossing.loopNext(handle)
        if ((code & NO_SLOT) !== NO_SLOT) {
          Event.deliver(core, code, false)
          continue
        }
        const step = code >>> 24
        if (step === StepCode.STOPPED || step === StepCode.EMPTY) return step
        if (step === StepCode.HOST) {
          lookUp()
          fetchMessages()
        } else if (isWatcherStep(step)) deliverWatcher(core, step, false)
        else this.#onStep(step)
      }
    } finally {
      core.running = undefined
      crossing.loopLeave(handle)
    }
  }

  #watchHost(): void {
    this.#watchesHost = true
    // Bun has the symbol and panics when it is called.
    if (process.versions['bun'] === undefined) native.watchHost(this.#core.handle)
  }

  /**
   * Runs the loop inside the host's own event loop: timers, promises, `net` and `fs` go on as usual, `nextTick`
   * and microtasks run after each callback, and AsyncLocalStorage follows from where an event was made. What a
   * callback throws is an uncaught exception, as in any callback of Node's; the loop goes on if the process does.
   *
   * @param options `signal` ends the run
   * @returns as {@link loop}; closing the base resolves with `LoopResult.STOPPED`
   * @throws {EventError} as a rejection: `ERR_EVENT_REENTRANT` while the loop runs already, `ERR_EVENT_CLOSED`,
   *   `ERR_INVALID_ARG_TYPE`; the signal's reason when it is aborted
   * @throws {SystemError} as a rejection: of `epoll_wait`, or of making the host watch the base
   */
  async run(options?: { signal?: AbortSignal }): Promise<LoopResult> {
    this.#core.check()
    const { signal } = checkOptions(options) ?? {}
    this.#watchesHost = false
    return await run(this.#core, {
      flags: 0,
      keepAlive: this.#keepsAlive,
      signal: checkAbortSignal('options.signal', signal),
      onStep: (step) => this.#onStep(step),
    })
  }

  /**
   * Calls back in every pass of the loop just before it waits, which is where another library can be asked for its
   * next deadline (`evwatch_prepare_new`).
   *
   * The callback is told how long the loop is going to wait: 0 with `LoopFlag.NONBLOCK` or while something is due,
   * `undefined` without any deadline. Events it adds, activates or deletes count: the wait is computed anew.
   * Under {@link run} it is called before each look for what is ready, and told how long the host would wait if
   * nothing is.
   *
   * Watchers are called in the order of making; one that is made while they are being called begins with the next
   * pass. They do not keep the loop from being empty. What one throws goes where an event's callback's would; the
   * next loop begins with the first watcher again.
   *
   * @param callback called in every pass
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_EVENT_CLOSED`
   */
  onPrepare(callback: PrepareCallback): Watcher {
    this.#core.check()
    return watchPrepare(this.#core, checkCallback('callback', callback))
  }

  /**
   * Calls back in every pass of the loop just after it has waited, before timers and events have their turn
   * (`evwatch_check_new`). Else as {@link onPrepare}.
   *
   * @param callback called in every pass
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_EVENT_CLOSED`
   */
  onCheck(callback: CheckCallback): Watcher {
    this.#core.check()
    return watchCheck(this.#core, checkCallback('callback', callback))
  }

  /**
   * Lets a {@link run} keep the process alive, which is how it begins.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  ref(): this {
    return this.#setRef(true)
  }

  /**
   * Lets the process end although a {@link run} goes on.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  unref(): this {
    return this.#setRef(false)
  }

  /**
   * Whether a {@link run} keeps the process alive.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
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
   * Leaves the loop at the end of the pass, now or later (`event_base_loopexit`). While no loop runs, an exit
   * lets the next one do a single pass.
   *
   * @param after milliseconds; without it, now
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  loopExit(after?: number): this {
    this.#core.check()
    const duration = after === undefined ? NO_TIMEOUT : checkTimeout('after', after)
    native.baseLoopExit(this.#core.handle, duration)
    return this
  }

  /**
   * Leaves the loop after the current callback; what is still due stays so (`event_base_loopbreak`). While no
   * loop runs, the next one returns at once.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  loopBreak(): this {
    this.#core.check()
    native.baseLoopBreak(this.#core.handle)
    return this
  }

  /**
   * Ends the pass after the current callback and polls again (`event_base_loopcontinue`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  loopContinue(): this {
    this.#core.check()
    native.baseLoopContinue(this.#core.handle)
    return this
  }

  /**
   * Whether {@link loopExit} ended the loop, or is about to (`event_base_got_exit`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  get gotExit(): boolean {
    this.#core.check()
    return native.baseGotExit(this.#core.handle)
  }

  /**
   * Whether {@link loopBreak} ended the loop, or is about to (`event_base_got_break`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  get gotBreak(): boolean {
    this.#core.check()
    return native.baseGotBreak(this.#core.handle)
  }

  /**
   * Wall-clock milliseconds since 1970: the same throughout one pass of callbacks, unless the base was built
   * with `NO_CACHE_TIME` (`event_base_gettimeofday_cached`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  now(): number {
    this.#core.check()
    return native.baseNow(this.#core.handle)
  }

  /**
   * Milliseconds of the monotonic clock, read afresh (`event_gettime_monotonic`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  monotonic(): number {
    this.#core.check()
    return native.baseMonotonic(this.#core.handle)
  }

  /**
   * Lets the cached time catch up, inside a callback that took long (`event_base_update_cache_time`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
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
   * The sum of counters (`event_base_get_num_events`). An event that waits for a descriptor and for a deadline
   * counts twice, and once more while it is active.
   *
   * @param mask bits of `CountFlag`
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`, `ERR_EVENT_CLOSED`
   */
  countEvents(mask: number): number {
    this.#core.check()
    return native.baseCountEvents(this.#core.handle, checkBits('mask', mask, 7))
  }

  /**
   * The sum of the highest values the counters had (`event_base_get_max_events`).
   *
   * @param mask bits of `CountFlag`
   * @param clear lets them begin again from 0
   * @throws {EventError} as {@link countEvents}
   */
  maxEvents(mask: number, clear = false): number {
    this.#core.check()
    checkBits('mask', mask, 7)
    return native.baseMaxEvents(this.#core.handle, mask, checkBoolean('clear', clear))
  }

  /**
   * Every event that is pending or active (`event_base_foreach_event`): first those on descriptors, in their
   * order, those for signals, then timers by deadline, then those that are only active. A copy.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  events(): EventRecord[] {
    const core = this.#core
    core.check()
    return native.baseEvents(core.handle).map(({ native: isNative, expiresAt, ...record }) => ({
      ...record,
      expiresAt: expiresAt < 0 ? undefined : expiresAt,
      event: isNative ? undefined : (core.events[record.id & NO_SLOT] ?? core.named.get(record.id & NO_SLOT)),
    }))
  }

  /**
   * Every event that is pending or active as text, one a line, for people (`event_base_dump_events`): those on
   * descriptors in their order, then timers, then those that are only active.
   *
   * The number in front is the event's {@link Event.id} in hexadecimal; a timeout is the wall-clock time of the
   * deadline, in seconds since 1970; `[NextTime]` marks what is queued for the next pass.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  dump(): string {
    this.#core.check()
    return native.baseDump(this.#core.handle)
  }

  /**
   * What the base has done so far: passes, waits, events, wake-ups, and with {@link EventConfig.measure} where
   * the time went.
   *
   * @param options `reset` lets everything begin again from nothing
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_EVENT_CLOSED`
   */
  stats(options?: { reset?: boolean }): Stats {
    this.#core.check()
    const { reset } = checkOptions(options) ?? {}
    return statsOf(this.#core.handle, checkBoolean('options.reset', reset))
  }

  /**
   * The event whose callback runs now (`event_base_get_running_event`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  get runningEvent(): Event | undefined {
    this.#core.check()
    return this.#core.running
  }

  /**
   * Makes active the events on a descriptor that wait for one of the bits, or with TIMEOUT among them those
   * that have a deadline (`event_base_active_by_fd`).
   *
   * @param fd -1 with TIMEOUT means every pure timer
   * @param what bits of `EV`
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`, `ERR_EVENT_CLOSED`
   */
  activateByFd(fd: number, what: number): this {
    this.#core.check()
    checkInteger('fd', fd, -1, 0x7fff_ffff)
    native.baseActivateByFd(this.#core.handle, fd, checkBits('what', what, RESULT_BITS))
    return this
  }

  /**
   * Makes the kernel's objects behind the base anew and registers every event with them (`event_reinit`): what a
   * forked child does first. Node never forks on its own, so this is for children that native code forks; without
   * it every call there throws `ERR_EVENT_FORKED`. Anywhere else it changes nothing that shows.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   * @throws {SystemError} `EMFILE`, `ENFILE`, `ENOMEM` when the kernel has no descriptor left: call it again then.
   *   Else the first refusal to register an event, with all others registered
   */
  reinit(): this {
    this.#core.check()
    native.baseReinit(this.#core.handle)
    return this
  }

  /**
   * Makes active the events that wait for a signal, as if it had arrived once (`event_base_active_by_signal`).
   *
   * @param signal a name, or any number: one without events is no error
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  activateBySignal(signal: SignalName): this {
    this.#core.check()
    native.baseActivateBySignal(this.#core.handle, signalNumber(signal, -0x8000_0000, 0x7fff_ffff))
    return this
  }

  /**
   * Lets other threads of this process use the base, through {@link connect}. The answer is a plain object to send
   * them, the same one each time. Events are named to them by {@link Event.id}; one whose id was asked for is kept
   * by a shared base until it is closed.
   *
   * Sharing keeps neither the base nor its loop: a loop with nothing pending is over, and a base that nobody refers
   * to and that does not run may be closed as garbage.
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
   * What another thread shared, to be used in this one; or in the same thread, where it makes no difference.
   *
   * @param token what {@link share} returned
   * @throws {EventError} `ERR_EVENT_CLOSED` if the base was closed or is another process's, `ERR_INVALID_ARG_TYPE`
   */
  static connect(token: SharedBase): RemoteBase {
    return new RemoteBase(token)
  }

  /**
   * Deletes every event and gives the kernel's objects back (`event_base_free`). Idempotent; every later call
   * throws `ERR_EVENT_CLOSED`. A loop that runs returns as after a break, and what {@link wait} and
   * {@link watch} promised is rejected with `ERR_EVENT_CLOSED`. Descriptors of events stay open.
   */
  close(): void {
    const core = this.#core
    if (core.closed) return
    core.closed = true
    forget(core.handle, this)
    core.events.length = 0
    core.named.clear()
    core.kept.clear()
    core.finalizers.clear()
    unshareSignals(core)
    core.watchers.clear()
    callAll('Parts of the base failed to close', [
      () => native.baseClose(core.handle),
      ...closersOf(core),
      () => tellOfBase(this, 'closed'),
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

  /**
   * Lets another layer hear the native loop's signals that concern it.
   *
   * @internal
   */
  static onStep(base: EventBase, listener: (step: number) => void): void {
    base.#onStep = listener
  }
}

/**
 * Ends this worker if it is being terminated. V8 does that where it enters a function; in a loop that goes round
 * slowly it may not look for long. A function that is called by a builtin is entered however much is optimised.
 */
function lookUp(): void {
  JSON.parse('0', (_key, value: unknown) => value)
}

/** Calls that notify everything which waits for the base, or is part of it, that it was closed. */
function closersOf(core: Core): (() => void)[] {
  return [...core.waiting].map((notify) => () => notify(closedError('base')))
}

function badFlags(message: string): never {
  throw new EventError('ERR_EVENT_BAD_FLAGS', message)
}

setConstructor((config) => new EventBase(config))
