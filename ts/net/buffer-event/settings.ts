/** The settings of a buffer event. */

import { EV } from '../../constants.js'
import { EventBase } from '../../event-base.js'
import { closedError } from '../../errors.js'
import {
  checkBits,
  checkBoolean,
  checkInteger,
  checkObject,
  checkOptions,
  outOfRange,
  wrongType,
} from '../../validate.js'
import { EVERY_BIT } from './bits.js'
import { checkLimit, type DirectionLimit } from './buckets.js'
import type { BufferEvent } from './buffer-event.js'
import { Callbacks } from './callbacks.js'
import { Flow, type Direction } from './flow.js'
import { BufferEventGroup, Membership, StreamLimit } from './limits.js'
import {
  applyCaps,
  applyTimeouts,
  applyWatermarks,
  checkCallbacks,
  checkDirections,
  type BufferEventCallbacks,
  type BufferEventOptions,
  type Caps,
  type Timeouts,
  type Watermarks,
} from './options.js'

/** The settings of a {@link BufferEvent}, which is the only class that extends this one. */
export abstract class BufferEventSettings {
  /** @internal */
  protected readonly flow: Flow
  /** @internal */
  protected readonly callbacks: Callbacks<BufferEvent>

  /** @internal */
  protected constructor(base: EventBase, options: BufferEventOptions) {
    if (!(base instanceof EventBase)) throw wrongType('base', 'an instance of EventBase', base)
    EventBase.coreOf(base).check()
    const deferred = checkBoolean('options.deferCallbacks', options.deferCallbacks)
    const current = checkCallbacks(options)
    const flow = new Flow(base)
    applyWatermarks(flow, options)
    applyTimeouts(flow, options)
    applyCaps(flow, options)
    const { priority, limit, group } = options
    this.flow = flow
    this.callbacks = new Callbacks<BufferEvent>(base, this as unknown as BufferEvent, {
      deferred,
      priority,
      flush: () => flow.channel.write(),
    })
    this.callbacks.current = current
    flow.callbacks = this.callbacks
    if (limit !== undefined) this.setLimit(limit)
    if (group !== undefined) this.joinGroup(group)
  }

  /** The directions that are enabled: READ and WRITE of `EV` (`bufferevent_get_enabled`). */
  get enabled(): number {
    return this.flow.enabled
  }

  /**
   * The priority of its events (`bufferevent_priority_set`, `bufferevent_get_priority`). Setting it throws as
   * {@link Event.priority} does; the events of an open descriptor keep their priority until the next {@link setFd}.
   */
  get priority(): number {
    return this.callbacks.priority
  }

  set priority(priority: number) {
    this.open()
    this.callbacks.priority = priority
  }

  /**
   * Enables directions (`bufferevent_enable`). Enabling WRITE with nothing to write calls `onWrite` in the loop.
   *
   * @param what READ and WRITE of `EV`
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`
   * @throws {SystemError} the same as {@link Event.add}: `EPERM` for a regular file, `EBADF` for a closed descriptor
   */
  enable(what: number): this {
    this.open().enable(checkDirections(what))
    return this
  }

  /**
   * Disables directions (`bufferevent_disable`): nothing is read or written, and no timeout runs. The output is kept.
   *
   * @param what READ and WRITE of `EV`
   * @throws {EventError} the same as {@link enable}
   */
  disable(what: number): this {
    this.open().disable(checkDirections(what))
    return this
  }

  /** The watermarks (`bufferevent_getwatermark`). */
  get watermarks(): { readLow: number; readHigh: number; writeLow: number } {
    const { readLow, readHigh, writeLow } = this.flow
    return { readLow, readHigh, writeLow }
  }

  /** The timeouts in milliseconds; 0 means no timeout. */
  get timeouts(): { readTimeout: number; writeTimeout: number } {
    const { readTimeout = 0, writeTimeout = 0 } = this.flow
    return { readTimeout, writeTimeout }
  }

  /** The caps (`bufferevent_get_max_single_read`, `bufferevent_get_max_single_write`). */
  get caps(): { maxSingleRead: number; maxSingleWrite: number } {
    const { maxSingleRead, maxSingleWrite } = this.flow
    return { maxSingleRead, maxSingleWrite }
  }

  /**
   * Sets the watermarks that are given (`bufferevent_setwatermark`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, also for a low watermark above
   *   the high one, because `onRead` would never be called
   */
  setWatermarks(marks: Watermarks): this {
    const flow = this.open()
    applyWatermarks(flow, checkObject('marks', marks))
    flow.checkWatermark()
    return this
  }

  /**
   * Sets the timeouts that are given (`bufferevent_set_timeouts`); a running one restarts. When a direction moves no byte
   * for its timeout, it is disabled and `onEvent` is called with `BEV.TIMEOUT`. Bytes that move in the same pass prevent
   * the timeout.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setTimeouts(timeouts: Timeouts): this {
    const flow = this.open()
    applyTimeouts(flow, checkObject('timeouts', timeouts))
    flow.channel.adjustTimeouts()
    return this
  }

  /**
   * Sets those caps that are given (`bufferevent_set_max_single_read`, `bufferevent_set_max_single_write`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setCaps(caps: Caps): this {
    applyCaps(this.open(), checkObject('caps', caps))
    return this
  }

  /**
   * Sets all callbacks (`bufferevent_setcb`); those that are not given are removed.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`
   */
  setCallbacks(callbacks: BufferEventCallbacks): this {
    this.open()
    this.callbacks.current = checkCallbacks(checkObject('callbacks', callbacks))
    return this
  }

  /**
   * Calls `onRead` and `onWrite` if the watermarks allow it (`bufferevent_trigger`).
   *
   * @param what READ and WRITE of `EV`
   * @param options `ignoreWatermarks` ignores the watermarks; `defer` calls from the loop
   * @throws {EventError} the same as {@link enable}
   */
  trigger(what: number, options?: { ignoreWatermarks?: boolean; defer?: boolean }): this {
    const flow = this.open()
    const { ignoreWatermarks, defer } = checkOptions(options)
    flow.trigger(
      checkDirections(what),
      checkBoolean('options.ignoreWatermarks', ignoreWatermarks),
      checkBoolean('options.defer', defer),
    )
    return this
  }

  /**
   * Calls `onEvent` (`bufferevent_trigger_event`).
   *
   * @param what bits of `BEV`
   * @param options `defer` calls from the loop
   * @throws {EventError} the same as {@link enable}
   */
  triggerEvent(what: number, options?: { defer?: boolean }): this {
    this.open()
    const { defer } = checkOptions(options)
    checkBits('what', what, EVERY_BIT)
    this.callbacks.notifyEvent(what, undefined, checkBoolean('options.defer', defer))
    return this
  }

  /**
   * Sets the stream's own limit, with a full burst, or removes it (`bufferevent_set_rate_limit`). The limit of a group
   * applies in addition.
   *
   * @param limit the limit of each direction; `undefined` removes the limit
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setLimit(limit: DirectionLimit | undefined): this {
    const flow = this.open()
    const buckets = limit === undefined ? undefined : checkLimit(flow.base, 'limit', limit)
    this.#limiter(StreamLimit)?.close()
    if (buckets !== undefined) flow.limiters.add(new StreamLimit(flow, buckets))
    return this
  }

  /** The group that it is a member of (`bufferevent_get_rate_limit_group`). */
  get group(): BufferEventGroup | undefined {
    return this.#limiter(Membership)?.group
  }

  /**
   * Leaves the current group, and joins another one if `group` is given (`bufferevent_add_to_rate_limit_group`,
   * `bufferevent_remove_from_rate_limit_group`).
   *
   * @param group a group of the same base; `undefined` only leaves the current group
   * @throws {EventError} `ERR_EVENT_CLOSED`, also for a closed group; `ERR_INVALID_ARG_TYPE`
   */
  joinGroup(group: BufferEventGroup | undefined): this {
    const flow = this.open()
    const before = this.#limiter(Membership)
    if (group !== undefined) BufferEventGroup.join(group, flow)
    before?.close()
    return this
  }

  /**
   * The number of bytes that the stream's own limit allows now; below 0 if more bytes have moved than it allows
   * (`bufferevent_get_read_limit`, `bufferevent_get_write_limit`).
   *
   * @param direction `EV.READ` or `EV.WRITE`
   * @returns bytes; `undefined` if there is no limit
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_OUT_OF_RANGE`
   */
  limitLeft(direction: Direction): number | undefined {
    this.open()
    checkDirection(direction)
    return this.#limiter(StreamLimit)?.left(direction)
  }

  /**
   * Counts bytes that were moved by other means against its own limit (`bufferevent_decrement_read_limit`,
   * `bufferevent_decrement_write_limit`).
   *
   * @param direction `EV.READ` or `EV.WRITE`
   * @param count the number of bytes; a negative number returns tokens
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  spendLimit(direction: Direction, count: number): this {
    this.open()
    checkDirection(direction)
    checkInteger('count', count, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    this.#limiter(StreamLimit)?.spend(direction, count)
    return this
  }

  /**
   * The number of bytes that the stream would read or write now (`bufferevent_get_max_to_read`,
   * `bufferevent_get_max_to_write`).
   *
   * @param direction `EV.READ` or `EV.WRITE`
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_OUT_OF_RANGE`
   */
  allowance(direction: Direction): number {
    return this.open().allowance(checkDirection(direction))
  }

  /** @internal */
  protected open(): Flow {
    if (this.flow.closed) throw closedError('stream')
    return this.flow
  }

  #limiter<T extends StreamLimit | Membership>(kind: abstract new (...parts: never[]) => T): T | undefined {
    for (const limiter of this.flow.limiters) if (limiter instanceof kind) return limiter
    return undefined
  }
}

function checkDirection(direction: Direction): Direction {
  if (direction === EV.READ || direction === EV.WRITE) return direction
  throw outOfRange('direction', 'EV.READ or EV.WRITE', direction)
}
