/** A handle to a base of another thread. */

import { RESULTS } from './bits.js'
import { closedError } from './errors.js'
import { showAs } from './inspect.js'
import { native, NO_TIMEOUT, type NativeRemote } from './native.js'
import { checkBits, checkInteger, checkObject, checkTimeout, wrongType } from './validate.js'

/**
 * Identifies a base for other threads of this process: a plain object, which `postMessage`, `workerData` and a
 * `BroadcastChannel` carry. Made by {@link EventBase.share}; valid until the base is closed.
 */
export interface SharedBase {
  /** The identity of the base. Its form is unspecified. */
  readonly eventBase: string
}

/**
 * A handle to a base of another thread. It activates, adds and deletes events of that base by their {@link Event.id},
 * and stops the loop. Callbacks run in the thread that made the events. {@link EventBase.connect} makes the handle.
 *
 * A call takes effect immediately, even while the other thread is busy, and wakes a loop that sleeps. Once the base is
 * closed or its thread has ended, every call throws `ERR_EVENT_CLOSED`.
 *
 * ```ts
 * import { EV, EventBase } from 'event-base'
 *
 * using base = new EventBase()
 * const event = base.newEvent(-1, 0, (_fd, what) => console.log(what === EV.READ))
 * // Usually in another thread, to which both were sent.
 * using remote = EventBase.connect(base.share())
 * remote.activate(event.id, EV.READ)
 * base.dispatch()
 * ```
 *
 * ```text output
 * true
 * ```
 */
export class RemoteBase {
  #native: NativeRemote | undefined

  /** @internal */
  constructor(token: SharedBase) {
    const { eventBase } = checkObject('token', token)
    if (typeof eventBase !== 'string')
      throw wrongType('token', 'the value that EventBase.share() returned', token)
    this.#native = native.remoteConnect(eventBase)
  }

  /**
   * Makes an event active, as {@link Event.activate} does.
   *
   * @param eventId the event's {@link Event.id}
   * @param what the result: TIMEOUT, READ, WRITE, SIGNAL and CLOSED of `EV`. Default 0
   * @throws {EventError} `ERR_EVENT_CLOSED` if the event, the base or this handle is closed; `ERR_INVALID_ARG_TYPE`,
   *   `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`
   */
  activate(eventId: number, what = 0): this {
    native.remoteActivate(this.#open(), checkId(eventId), checkBits('what', what, RESULTS))
    return this
  }

  /**
   * Makes an event pending, as {@link Event.add} does.
   *
   * @param eventId the event's {@link Event.id}
   * @param timeout milliseconds from now, 0 or more; fractions count, to the microsecond
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_EVENT_FINALIZING`, `ERR_INVALID_ARG_TYPE`,
   *   `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`
   * @throws {SystemError} the same as {@link Event.add}
   */
  add(eventId: number, timeout?: number): this {
    const duration = timeout === undefined ? NO_TIMEOUT : checkTimeout('timeout', timeout)
    native.remoteAdd(this.#open(), checkId(eventId), duration)
    return this
  }

  /**
   * Makes an event neither pending nor active, as {@link Event.del} does. Never blocks: the event's callback may be
   * running in its thread.
   *
   * @param eventId the event's {@link Event.id}
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  del(eventId: number): this {
    native.remoteDel(this.#open(), checkId(eventId))
    return this
  }

  /**
   * Ends the loop after the current pass or after a time, as {@link EventBase.loopExit} does.
   *
   * @param after milliseconds from now. Default: after the current pass
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  loopExit(after?: number): this {
    const duration = after === undefined ? NO_TIMEOUT : checkTimeout('after', after)
    native.remoteLoopExit(this.#open(), duration)
    return this
  }

  /**
   * Ends the loop after the current callback, as {@link EventBase.loopBreak} does.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  loopBreak(): this {
    native.remoteLoopBreak(this.#open())
    return this
  }

  /** Releases the handle; the base stays open. Idempotent; every later call throws `ERR_EVENT_CLOSED`. */
  close(): void {
    this.#native = undefined
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #open(): NativeRemote {
    if (this.#native === undefined) throw closedError('remote base')
    return this.#native
  }

  static {
    // Whether the base itself was closed is known to its own thread.
    showAs(RemoteBase, 'RemoteBase', (remote) => ({ closed: remote.#native === undefined }))
  }
}

function checkId(eventId: number): number {
  return checkInteger('eventId', eventId, 0, Number.MAX_SAFE_INTEGER)
}
