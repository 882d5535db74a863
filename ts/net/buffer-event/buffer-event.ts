/** The public face of a buffered stream. */

import { EventBase } from '../../event-base.js'
import { closedError, EventError } from '../../errors.js'
import {
  checkBits,
  checkBoolean,
  checkInteger,
  checkOptions,
  checkSignal,
  checkTimeout,
  wrongType,
} from '../../validate.js'
import { checkTarget, isNumeric, type Target } from '../address.js'
import { connect, type ConnectOptions } from '../connect.js'
import { EVERY_BIT } from './bits.js'
import type { ByteQueue, Writable } from './byte-queue.js'
import { Callbacks } from './callbacks.js'
import { Flow } from './flow.js'
import {
  applyCaps,
  applyTimeouts,
  applyWatermarks,
  checkCallbacks,
  checkDirections,
  checkObject,
  checkSwitchedOn,
  type BufferEventCallbacks,
  type BufferEventOptions,
  type Caps,
  type Timeouts,
  type Watermarks,
} from './options.js'
import { SocketChannel } from './socket-channel.js'

/** How bytes are to be looked upon that are flushed: `BEV_NORMAL`, `BEV_FLUSH`, `BEV_FINISHED`. */
export type FlushMode = 'normal' | 'flush' | 'finished'

/**
 * A buffered stream on a descriptor, in a base's loop: libevent's `bufferevent`. Bytes that come are put into
 * {@link input} and `onRead` is called; bytes that are written wait in {@link output} until the descriptor takes them,
 * and `onWrite` is called. Writing is enabled from the start, reading is not.
 *
 * ```ts
 * import { EV, EventBase } from 'event-base'
 * import { BufferEvent, socket } from 'event-base/net'
 *
 * const base = new EventBase()
 * const [near, far] = socket.pair()
 * const echo = new BufferEvent(base, far, {
 *   onRead: (stream) => void stream.input.moveTo(stream.output),
 *   onEvent: (_what, stream) => stream.end(),
 * }).enable(EV.READ)
 * const client = new BufferEvent(base, near, {
 *   onRead: (stream) => console.log(String(stream.read())),
 *   onEvent: () => [client, echo].forEach((stream) => stream.close()),
 * })
 * client.enable(EV.READ).end('hello')
 * base.dispatch()
 * ```
 *
 * Usable on the thread of its base only. An open one is kept, with its descriptor, until it or its base is closed.
 */
export class BufferEvent {
  readonly #flow: Flow
  readonly #callbacks: Callbacks<BufferEvent>
  readonly #closesDescriptor: boolean
  readonly #onBaseClosed = (): void => this.#shut()
  readonly #socket: SocketChannel | undefined

  /**
   * @param base whose loop reads and writes
   * @param fd a non-blocking descriptor, which is the stream's from here on unless `closeOnFree` says otherwise; -1
   *   for none yet: see {@link connect} and {@link setFd}. With an error it stays the caller's
   * @param options callbacks, watermarks, timeouts, limits
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  constructor(base: EventBase, fd: number, options?: BufferEventOptions) {
    if (!(base instanceof EventBase)) throw wrongType('base', 'an instance of EventBase', base)
    const core = EventBase.coreOf(base)
    core.check()
    checkInteger('fd', fd, -1, 0x7fff_ffff)
    const given: BufferEventOptions = checkOptions(options) ?? {}
    this.#closesDescriptor = checkSwitchedOn('options.closeOnFree', given.closeOnFree)
    const deferred = checkBoolean('options.deferCallbacks', given.deferCallbacks)
    const current = checkCallbacks(given)
    const flow = new Flow(base)
    applyWatermarks(flow, given)
    applyTimeouts(flow, given)
    applyCaps(flow, { maxSingleRead: 16_384, maxSingleWrite: 262_144, ...given })
    this.#flow = flow
    this.#callbacks = new Callbacks<BufferEvent>(base, this, {
      deferred,
      priority: given.priority,
      flush: () => flow.channel.write(),
    })
    this.#callbacks.current = current
    this.#socket = new SocketChannel(flow, () => this.#callbacks.priority)
    flow.callbacks = this.#callbacks
    flow.channel = this.#socket
    this.#socket.open(fd)
    core.waiting.add(this.#onBaseClosed)
  }

  /** The base it belongs to (`bufferevent_get_base`). */
  get base(): EventBase {
    return this.#flow.base
  }

  /** Its descriptor, or -1 (`bufferevent_getfd`). */
  get fd(): number {
    return this.#flow.channel.fd
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#flow.closed
  }

  /** Whether a connection is under way. */
  get connecting(): boolean {
    return this.#flow.channel.connecting
  }

  /** The last failure that was told, or would have been to an `onEvent`. */
  get error(): Error | undefined {
    return this.#flow.error
  }

  /** What has come and was not taken out yet (`bufferevent_get_input`). It stays after {@link close}. */
  get input(): ByteQueue {
    return this.#flow.input
  }

  /**
   * What is to be written and was not yet (`bufferevent_get_output`): what is appended here is written like what
   * {@link write} is given. It stays after a failure and after {@link close}.
   */
  get output(): ByteQueue {
    return this.#flow.output
  }

  /** How many bytes came and left so far. */
  get stats(): { bytesRead: number; bytesWritten: number } {
    const { bytesRead, bytesWritten } = this.#flow
    return { bytesRead, bytesWritten }
  }

  /** The directions that are enabled: READ and WRITE of `EV` (`bufferevent_get_enabled`). */
  get enabled(): number {
    return this.#flow.enabled
  }

  /**
   * The priority of its events (`bufferevent_priority_set`, `bufferevent_get_priority`). Setting it throws as
   * {@link Event.priority} does; the events of an open descriptor keep the one they have until the next {@link setFd}.
   */
  get priority(): number {
    return this.#callbacks.priority
  }

  set priority(priority: number) {
    this.#open()
    this.#callbacks.priority = priority
  }

  /**
   * Enables directions (`bufferevent_enable`). Enabling WRITE with nothing to write calls `onWrite` in the loop.
   *
   * @param what READ and WRITE of `EV`
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`
   * @throws {SystemError} as {@link Event.add}: `EPERM` for a regular file, `EBADF` for what is not open
   */
  enable(what: number): this {
    this.#open().enable(checkDirections(what))
    return this
  }

  /**
   * Disables directions (`bufferevent_disable`): nothing is read or written, and no timeout runs. What is to be
   * written waits.
   *
   * @param what READ and WRITE of `EV`
   * @throws {EventError} as {@link enable}
   */
  disable(what: number): this {
    this.#open().disable(checkDirections(what))
    return this
  }

  /**
   * Writes, in the loop (`bufferevent_write`): all that is written in one pass leaves together. Never refuses for
   * want of room: see {@link output} for how much waits.
   *
   * @param data bytes, which are referred to and must not be changed until they have left; or a text, as UTF-8
   * @throws {EventError} `ERR_EVENT_CLOSED`, also after {@link end}; `ERR_INVALID_ARG_TYPE`
   */
  write(data: Writable): this {
    if (this.#open().ending) throw closedError('writing side')
    this.output.append(data)
    return this
  }

  /**
   * Takes out what has come, as one piece (`bufferevent_read`). Below the high watermark reading goes on.
   *
   * @param most how many bytes at most. Default all
   * @returns `undefined` when there are none
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  read(most?: number): Buffer | undefined {
    return this.input.read(most)
  }

  /**
   * Ends the writing side once everything was written: the peer reads the end of the stream behind the last byte.
   * Reading goes on. Twice is as good as once.
   *
   * @param data what is to be written before
   * @throws {EventError} as {@link write}
   */
  end(data?: Writable): this {
    const flow = this.#open()
    if (data !== undefined) this.write(data)
    if (!flow.ending) {
      flow.ending = true
      flow.channel.kick()
    }
    return this
  }

  /**
   * Sets those watermarks that are given (`bufferevent_setwatermark`).
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, also for a low one above the
   *   high one, where `onRead` could never come
   */
  setWatermarks(marks: Watermarks): this {
    const flow = this.#open()
    applyWatermarks(flow, checkObject('marks', marks))
    flow.checkWatermark()
    return this
  }

  /**
   * Sets those timeouts that are given (`bufferevent_set_timeouts`); one that is running begins anew. When nothing
   * moved for so long, the direction is disabled and `onEvent` told `BEV.TIMEOUT`. Bytes that come at the same time
   * win.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setTimeouts(timeouts: Timeouts): this {
    const flow = this.#open()
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
    applyCaps(this.#open(), checkObject('caps', caps))
    return this
  }

  /**
   * Sets all callbacks (`bufferevent_setcb`); those that are not given are called no more.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`
   */
  setCallbacks(callbacks: BufferEventCallbacks): this {
    this.#open()
    this.#callbacks.current = checkCallbacks(checkObject('callbacks', callbacks))
    return this
  }

  /**
   * Calls `onRead` and `onWrite` if the watermarks allow it (`bufferevent_trigger`).
   *
   * @param what READ and WRITE of `EV`
   * @param options `ignoreWatermarks` calls in any case; `defer` calls from the loop
   * @throws {EventError} as {@link enable}
   */
  trigger(what: number, options?: { ignoreWatermarks?: boolean; defer?: boolean }): this {
    const flow = this.#open()
    const { ignoreWatermarks, defer } = checkOptions(options) ?? {}
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
   * @throws {EventError} as {@link enable}
   */
  triggerEvent(what: number, options?: { defer?: boolean }): this {
    this.#open()
    const { defer } = checkOptions(options) ?? {}
    checkBits('what', what, EVERY_BIT)
    this.#callbacks.tellEvent(what, undefined, checkBoolean('options.defer', defer))
    return this
  }

  /**
   * Goes on with another descriptor (`bufferevent_setfd`). What has come and what is to be written stays, and so do
   * the directions that are enabled.
   *
   * @param fd the stream's from here on; -1 for none
   * @returns the descriptor it had, which is the caller's, or -1
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; `ERR_EVENT_BAD_FLAGS` for one
   *   of a pair
   */
  setFd(fd: number): number {
    const socket = this.#channel()
    checkInteger('fd', fd, -1, 0x7fff_ffff)
    const before = socket.fd
    this.#flow.ended = false
    socket.open(fd)
    return before
  }

  /**
   * Connects, with no descriptor so far (`bufferevent_socket_connect`, `bufferevent_socket_connect_hostname`). In the
   * loop `onEvent` is told `BEV.CONNECTED`, or `BEV.ERROR` with the failure, after which it can be tried again. What is
   * written meanwhile leaves then. A numeric target needs nothing but the loop, any other and the option `signal` what
   * {@link connect} needs, Node's own loop.
   *
   * @param target a host, numeric or a name, and a port; or a unix socket's path
   * @param options as for {@link connect}
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; `ERR_EVENT_ACTIVE` while it
   *   has a descriptor or is connecting
   * @throws {SystemError} what is refused at once, with `address` and `port`
   */
  connect(target: Target, options?: ConnectOptions): this {
    const socket = this.#channel()
    const place = checkTarget('target', target)
    const { timeout, ...others } = checkOptions(options) ?? {}
    if (timeout !== undefined) checkTimeout('options.timeout', timeout)
    checkSignal(others.signal)?.throwIfAborted()
    if (socket.fd >= 0 || socket.connecting) {
      throw new EventError('ERR_EVENT_ACTIVE', 'The stream has a descriptor, or is connecting')
    }
    if (isNumeric(place) && Object.values(others).every((value) => value === undefined)) {
      socket.connect(place, timeout)
    } else {
      socket.connectBy(place, (closed) => {
        const signal = others.signal === undefined ? closed : AbortSignal.any([others.signal, closed])
        return connect(this.#flow.base, target, { ...options, signal })
      })
    }
    return this
  }

  /**
   * Closes the stream, and its descriptor unless `closeOnFree` says otherwise (`bufferevent_free`). No callback comes
   * any more; what was not written is lost to the peer. Idempotent, and safe inside any callback. Closing the base
   * does the same.
   */
  close(): void {
    if (this.#flow.closed) return
    EventBase.coreOf(this.#flow.base).waiting.delete(this.#onBaseClosed)
    this.#shut()
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #shut(): void {
    this.#flow.closed = true
    this.#callbacks.close()
    this.#flow.channel.close(this.#closesDescriptor)
  }

  #open(): Flow {
    if (this.#flow.closed) throw closedError('stream')
    return this.#flow
  }

  #channel(): SocketChannel {
    this.#open()
    if (this.#socket === undefined) {
      throw new EventError('ERR_EVENT_BAD_FLAGS', 'One of a pair has no descriptor')
    }
    return this.#socket
  }
}
