/** Buffered streams. */

import { checkAbortSignal, onAbort, throwIfAborted } from '../../abort.js'
import { callAll } from '../../call-all.js'
import { EV } from '../../constants.js'
import { EventBase } from '../../event-base.js'
import { closedError, EventError } from '../../errors.js'
import { namesOfBits, showAs, textOfError } from '../../inspect.js'
import { native } from '../../native.js'
import {
  checkInteger,
  checkObject,
  checkOptions,
  checkTimeout,
  outOfRange,
  wrongType,
} from '../../validate.js'
import { checkTarget, isNumeric, type Target } from '../address.js'
import { connect, type ConnectOptions } from '../connect.js'
import { checkLocal } from '../local.js'
import type { ByteQueue, Writable } from './byte-queue.js'
import { BufferEventDuplex, checkDuplexOptions, type DuplexOptions } from './duplex.js'
import { checkDirections, checkSwitchedOn, type BufferEventOptions } from './options.js'
import { PairChannel } from './pair-channel.js'
import { BufferEventSettings } from './settings.js'
import { SocketChannel } from './socket-channel.js'

/** The mode of a flush: `BEV_NORMAL`, `BEV_FLUSH`, `BEV_FINISHED`. */
export type FlushMode = 'normal' | 'flush' | 'finished'

/**
 * A buffered stream on a descriptor, in a base's loop: libevent's `bufferevent`. Received bytes are added to
 * {@link input}, and `onRead` is called; written bytes are kept in {@link output} until the descriptor accepts them,
 * and `onWrite` is called. Initially writing is enabled and reading is disabled.
 *
 * ```ts
 * import { EV, EventBase } from 'event-base'
 * import { BEV, BufferEvent, socket } from 'event-base/net'
 *
 * const base = new EventBase()
 * const [near, far] = socket.pair()
 * const echo = new BufferEvent(base, far, {
 *   onRead: (stream) => void stream.input.moveTo(stream.output),
 *   onEvent: (what, stream) => (what & BEV.EOF ? stream.end() : stream.close()),
 * }).enable(EV.READ)
 * const client = new BufferEvent(base, near, {
 *   onRead: (stream) => console.log(String(stream.read())),
 *   onEvent: () => [client, echo].forEach((stream) => stream.close()),
 * })
 * client.enable(EV.READ).end('hello')
 * base.dispatch()
 * ```
 *
 * A stream can be used only on the thread of its base. It exists, with its descriptor, until it or its base is closed,
 * even if no code references it. The descriptor is also closed when the environment ends, for example when a worker
 * does.
 */
export class BufferEvent extends BufferEventSettings {
  readonly #closesDescriptor: boolean
  readonly #onBaseClosed = (): void => this.#shut()
  #duplex: BufferEventDuplex | undefined
  #partner: BufferEvent | undefined

  /**
   * @param base the base whose loop reads and writes
   * @param fd a non-blocking descriptor, which the stream owns unless `closeOnFree` is `false`; -1 if there is none
   *   yet: see {@link connect} and {@link setFd}. If this throws, the caller continues to own it
   * @param options callbacks, watermarks, timeouts, limits
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  constructor(base: EventBase, fd: number, options?: BufferEventOptions) {
    const given = checkOptions(options)
    checkInteger('fd', fd, -1, 0x7fff_ffff)
    const closesDescriptor = checkSwitchedOn('options.closeOnFree', given.closeOnFree)
    super(base, given)
    this.#closesDescriptor = closesDescriptor
    const socket = new SocketChannel(this.flow, closesDescriptor, () => this.callbacks.priority)
    this.flow.channel = socket
    socket.open(fd)
    EventBase.coreOf(base).waiting.add(this.#onBaseClosed)
  }

  /**
   * Makes two streams that are connected in memory, without a descriptor (`bufferevent_pair_new`). Bytes written to one
   * are received by the other as {@link ByteQueue.moveTo} moves them. Callbacks are always deferred. When one is
   * closed, the other reads the end, and writing to it fails with `EPIPE`.
   *
   * @param base the base whose loop runs the callbacks
   * @param options the options of both; those for a descriptor have no effect
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  static pair(base: EventBase, options?: BufferEventOptions): [BufferEvent, BufferEvent] {
    const deferred = { ...checkOptions(options), deferCallbacks: true }
    const first = new BufferEvent(base, -1, deferred)
    const second = new BufferEvent(base, -1, deferred)
    PairChannel.link(first.flow, second.flow)
    first.#partner = second
    second.#partner = first
    return [first, second]
  }

  /**
   * Connects, and makes a stream of the connection. The promise settles in the same way as the promise of the function
   * `connect` of this module.
   *
   * @param base the base of the stream, whose loop connects
   * @param target a host, numeric or a name, and a port; or a unix socket's path
   * @param options the options of the connect and of the stream
   * @returns the stream, with reading disabled
   * @throws {EventError} as a rejection, the same as the constructor and {@link connect}
   * @throws {SystemError} as a rejection, the same as {@link connect}
   */
  static async connect(
    base: EventBase,
    target: Target,
    options?: BufferEventOptions & ConnectOptions,
  ): Promise<BufferEvent> {
    const given = checkOptions(options)
    const stream = new BufferEvent(base, -1, given)
    try {
      const fd = await connect(base, target, given)
      // A blocking loop can connect, and the base be closed after it, before the promise settles.
      if (stream.closed) native.socketClose(fd)
      stream.setFd(fd)
      return stream
    } catch (error) {
      stream.close()
      throw error
    }
  }

  /** The base that the stream belongs to (`bufferevent_get_base`). */
  get base(): EventBase {
    return this.flow.base
  }

  /** The other stream of a pair, while both are open (`bufferevent_pair_get_partner`). */
  get partner(): BufferEvent | undefined {
    return this.closed || this.#partner?.closed === true ? undefined : this.#partner
  }

  /** The descriptor; -1 if there is none (`bufferevent_getfd`). */
  get fd(): number {
    return this.flow.channel.fd
  }

  /** Whether the stream was closed. */
  get closed(): boolean {
    return this.flow.closed
  }

  /** Whether a connect is in progress. */
  get connecting(): boolean {
    return this.flow.channel.connecting
  }

  /** The last failure, if there was one. It was reported to `onEvent` if that callback is set. */
  get error(): Error | undefined {
    return this.flow.error
  }

  /** The bytes that were received and are not read yet (`bufferevent_get_input`). Kept after {@link close}. */
  get input(): ByteQueue {
    return this.flow.input
  }

  /**
   * The bytes that are not sent yet (`bufferevent_get_output`). Bytes that are appended to this queue are sent like
   * bytes of {@link write}. The queue is kept after a failure and after {@link close}.
   */
  get output(): ByteQueue {
    return this.flow.output
  }

  /** The numbers of bytes received and sent. */
  get stats(): { bytesRead: number; bytesWritten: number } {
    const { bytesRead, bytesWritten } = this.flow
    return { bytesRead, bytesWritten }
  }

  /**
   * Writes in the loop (`bufferevent_write`): the bytes of all writes of one pass are sent together. The output is not
   * limited: see its length in {@link output}.
   *
   * @param data bytes, which are referenced and must not be changed until they are sent; or text, as UTF-8
   * @throws {EventError} `ERR_EVENT_CLOSED`, also after {@link end}; `ERR_INVALID_ARG_TYPE`
   */
  write(data: Writable): this {
    if (this.open().ending) throw closedError('writing side')
    this.output.append(data)
    return this
  }

  /**
   * Removes received bytes from the input and returns them as one Buffer (`bufferevent_read`), as
   * {@link ByteQueue.read} does. Reading resumes when the input is below the high watermark.
   *
   * @param most the maximum number of bytes. Default: all
   * @returns the bytes; `undefined` if there are none
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  read(most?: number): Buffer | undefined {
    return this.input.read(most)
  }

  /**
   * Ends the writing side once everything is sent: the peer reads the end of the stream after the last byte. Reading
   * continues. Idempotent.
   *
   * @param data written before the end
   * @throws {EventError} the same as {@link write}
   */
  end(data?: Writable): this {
    const flow = this.open()
    if (data !== undefined) this.write(data)
    if (!flow.ending) {
      flow.ending = true
      flow.channel.kick()
    }
    return this
  }

  /**
   * Replaces the descriptor without closing it (`bufferevent_setfd`). The input, the output and the enabled directions
   * are kept. A failure to read the new descriptor is reported to `onEvent`.
   *
   * @param fd as for the constructor; -1 means no descriptor
   * @returns the previous descriptor, which the caller then owns; -1 if there was none
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; `ERR_EVENT_BAD_FLAGS` for a
   *   stream of a pair
   */
  setFd(fd: number): number {
    const socket = this.#channel()
    checkInteger('fd', fd, -1, 0x7fff_ffff)
    const before = socket.fd
    this.flow.ended = false
    socket.open(fd)
    return before
  }

  /**
   * Replaces the descriptor, and closes the previous one unless `closeOnFree` is `false` (`bufferevent_replacefd`).
   *
   * @param fd as for {@link setFd}
   * @throws {EventError} the same as {@link setFd}
   */
  replaceFd(fd: number): this {
    const before = this.setFd(fd)
    if (this.#closesDescriptor && before >= 0 && before !== fd) native.socketClose(before)
    return this
  }

  /**
   * Connects a stream without a descriptor (`bufferevent_socket_connect`, `bufferevent_socket_connect_hostname`). The
   * loop calls `onEvent` with `BEV.CONNECTED`, or with `BEV.ERROR` and the failure; after a failure {@link connect} can
   * be called again. Bytes that are written during the connect are sent when it has succeeded. A numeric target needs
   * only the loop of the base; a name and the option `signal` need Node's own loop too.
   *
   * @param target a host, numeric or a name, and a port; or a unix socket's path
   * @param options as for {@link connect}
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; `ERR_EVENT_ACTIVE` while the
   *   stream has a descriptor or is connecting
   * @throws {SystemError} an immediate failure, with `address` and `port`
   */
  connect(target: Target, options?: ConnectOptions): this {
    const socket = this.#channel()
    const given = checkObject('target', target)
    const address = checkTarget('target', given)
    const how = checkOptions(options)
    const { timeout, signal, lookup, attemptDelay } = how
    if (timeout !== undefined) checkTimeout('options.timeout', timeout)
    const local = checkLocal('options', how)
    throwIfAborted(checkAbortSignal('options.signal', signal))
    // A getter of the options may have closed the stream.
    this.open()
    if (socket.fd >= 0 || socket.connecting) {
      throw new EventError('ERR_EVENT_ACTIVE', 'The stream has a descriptor, or is connecting')
    }
    if (isNumeric(address) && [signal, lookup, attemptDelay].every((value) => value === undefined)) {
      socket.connect(address, timeout, local)
    } else {
      socket.connectBy(address, async (closed) => {
        const attempt = new AbortController()
        const abort = (reason: Error): void => attempt.abort(reason)
        const listeners = [onAbort(signal, abort), onAbort(closed, abort)]
        try {
          return await connect(this.flow.base, given, { ...how, signal: attempt.signal })
        } finally {
          for (const stopListening of listeners) stopListening()
        }
      })
    }
    return this
  }

  /**
   * Writes as much as the descriptor accepts now, instead of in the loop (`bufferevent_flush`). A stream of a pair
   * moves its bytes even if the other stream has reached its high watermark.
   *
   * @param what READ and WRITE of `EV`; READ has an effect on a pair only
   * @param mode `'normal'` does nothing, `'flush'` writes, `'finished'` also ends the writing side, as {@link end} does
   * @returns `true` if no bytes are left to write
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_BAD_FLAGS`
   */
  flush(what: number, mode: FlushMode): boolean {
    const flow = this.open()
    checkDirections(what)
    if (typeof mode !== 'string') throw wrongType('mode', 'of type string', mode)
    if (!MODES.includes(mode)) throw outOfRange('mode', `one of ${MODES.join(', ')}`, mode)
    if (mode !== 'normal') {
      this.callbacks.enter(() => {
        if (mode === 'finished' && (what & EV.WRITE) !== 0) this.end()
        flow.channel.flush(what)
      })
    }
    return flow.output.length === 0
  }

  /**
   * Returns the stream as a Duplex of Node, for `stream.pipeline`, `for await`, `tls.connect({ socket })` and others.
   * The Duplex replaces the callbacks. Destroying the Duplex closes the stream, and closing the stream destroys the
   * Duplex. While it is open, the base's loop is not empty, unless {@link BufferEventDuplex.unref} was called.
   *
   * @param options `allowHalfOpen`, `true` by default: the writing side does not end with the reading side;
   *   `highWaterMark` in bytes, for both directions
   * @returns the same Duplex each time; later options are ignored
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` for a high water mark that is not
   *   an integer from 0 to 2^53 - 1
   */
  toDuplex(options?: DuplexOptions): BufferEventDuplex {
    this.open()
    const given = checkDuplexOptions(options)
    this.#duplex ??= new BufferEventDuplex(this, this.flow, given)
    return this.#duplex
  }

  /**
   * Closes the stream, and its descriptor unless `closeOnFree` is `false` (`bufferevent_free`). No callback runs
   * afterwards, and the output is not sent. Idempotent, and safe inside any callback. Closing the base does the same.
   *
   * @throws {SystemError} `EBADF` when the program has closed the descriptor; the stream is closed nevertheless
   */
  close(): void {
    if (this.flow.closed) return
    EventBase.coreOf(this.flow.base).waiting.delete(this.#onBaseClosed)
    this.#shut()
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #shut(): void {
    const { flow } = this
    flow.closed = true
    callAll('Parts of the stream failed to close', [
      () => this.callbacks.close(),
      ...[...flow.limiters].map((limiter) => () => limiter.close()),
      () => flow.channel.close(),
      () => flow.onClose?.(),
    ])
  }

  #channel(): SocketChannel {
    const { channel } = this.open()
    if (channel instanceof SocketChannel) return channel
    throw new EventError('ERR_EVENT_BAD_FLAGS', 'A stream of a pair has no descriptor')
  }

  static {
    showAs(BufferEvent, 'BufferEvent', ({ flow }) => ({
      fd: flow.channel.fd,
      connecting: flow.channel.connecting ? true : undefined,
      enabled: namesOfBits(flow.enabled) ?? false,
      input: flow.input.length,
      output: flow.output.length,
      bytesRead: flow.bytesRead,
      bytesWritten: flow.bytesWritten,
      ended: flow.ended ? true : undefined,
      error: textOfError(flow.error),
      closed: flow.closed,
    }))
  }
}

const MODES: readonly string[] = ['normal', 'flush', 'finished']
