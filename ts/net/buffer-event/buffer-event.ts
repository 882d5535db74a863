/** The public face of a buffered stream. */

import { checkAbortSignal, onAbort, throwIfAborted } from '../../abort.js'
import { callAll } from '../../call-all.js'
import { EV } from '../../constants.js'
import { EventBase } from '../../event-base.js'
import { closedError, EventError } from '../../errors.js'
import { native } from '../../native.js'
import { checkInteger, checkOptions, checkTimeout, outOfRange, wrongType } from '../../validate.js'
import { checkTarget, isNumeric, type Target } from '../address.js'
import { connect, type ConnectOptions } from '../connect.js'
import type { ByteQueue, Writable } from './byte-queue.js'
import { BufferEventDuplex, type DuplexOptions } from './duplex.js'
import { checkDirections, checkSwitchedOn, type BufferEventOptions } from './options.js'
import { PairChannel } from './pair-channel.js'
import { BufferEventSettings } from './settings.js'
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
export class BufferEvent extends BufferEventSettings {
  readonly #closesDescriptor: boolean
  readonly #onBaseClosed = (): void => this.#shut()
  #duplex: BufferEventDuplex | undefined
  #partner: BufferEvent | undefined

  /**
   * @param base whose loop reads and writes
   * @param fd a non-blocking descriptor, which is the stream's from here on unless `closeOnFree` says otherwise; -1
   *   for none yet: see {@link connect} and {@link setFd}. With an error it stays the caller's
   * @param options callbacks, watermarks, timeouts, limits
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
   */
  constructor(base: EventBase, fd: number, options?: BufferEventOptions) {
    const given = checkOptions(options) ?? {}
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
   * Two streams that are each other's other end, in memory, without a descriptor (`bufferevent_pair_new`): what is
   * written to one comes to the other as it is, uncopied. Callbacks are always deferred. When one is closed, the other
   * reads the end, and what it writes is refused with `EPIPE`.
   *
   * @param base whose loop calls back
   * @param options of both; those of a descriptor have no effect
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
   * Connects, and makes a stream of the connection. It settles when {@link connect} of this module would: while the
   * base is run.
   *
   * @param base whose loop waits, and whose stream it becomes
   * @param target a host, numeric or a name, and a port; or a unix socket's path
   * @param options how to connect, and of the stream
   * @returns the stream, with reading disabled as ever
   * @throws {EventError} as a rejection, as the constructor and {@link connect}
   * @throws {SystemError} as a rejection, as {@link connect}
   */
  static async connect(
    base: EventBase,
    target: Target,
    options?: BufferEventOptions & ConnectOptions,
  ): Promise<BufferEvent> {
    const stream = new BufferEvent(base, -1, options)
    try {
      stream.setFd(await connect(base, target, options))
      return stream
    } catch (error) {
      stream.close()
      throw error
    }
  }

  /** The base it belongs to (`bufferevent_get_base`). */
  get base(): EventBase {
    return this.flow.base
  }

  /** The other one of a pair, while both are open (`bufferevent_pair_get_partner`). */
  get partner(): BufferEvent | undefined {
    return this.closed || this.#partner?.closed === true ? undefined : this.#partner
  }

  /** Its descriptor, or -1 (`bufferevent_getfd`). */
  get fd(): number {
    return this.flow.channel.fd
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.flow.closed
  }

  /** Whether a connection is under way. */
  get connecting(): boolean {
    return this.flow.channel.connecting
  }

  /** The last failure that was told, or would have been to an `onEvent`. */
  get error(): Error | undefined {
    return this.flow.error
  }

  /** What has come and was not taken out yet (`bufferevent_get_input`). It stays after {@link close}. */
  get input(): ByteQueue {
    return this.flow.input
  }

  /**
   * What is to be written and was not yet (`bufferevent_get_output`): what is appended here is written like what
   * {@link write} is given. It stays after a failure and after {@link close}.
   */
  get output(): ByteQueue {
    return this.flow.output
  }

  /** How many bytes came and left so far. */
  get stats(): { bytesRead: number; bytesWritten: number } {
    const { bytesRead, bytesWritten } = this.flow
    return { bytesRead, bytesWritten }
  }

  /**
   * Writes, in the loop (`bufferevent_write`): all that is written in one pass leaves together. Never refuses for
   * want of room: see {@link output} for how much waits.
   *
   * @param data bytes, which are referred to and must not be changed until they have left; or a text, as UTF-8
   * @throws {EventError} `ERR_EVENT_CLOSED`, also after {@link end}; `ERR_INVALID_ARG_TYPE`
   */
  write(data: Writable): this {
    if (this.open().ending) throw closedError('writing side')
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
    const flow = this.open()
    if (data !== undefined) this.write(data)
    if (!flow.ending) {
      flow.ending = true
      flow.channel.kick()
    }
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
    this.flow.ended = false
    socket.open(fd)
    return before
  }

  /**
   * Goes on with another descriptor, and closes the one it had unless `closeOnFree` says otherwise
   * (`bufferevent_replacefd`).
   *
   * @param fd as for {@link setFd}
   * @throws {EventError} as {@link setFd}
   */
  replaceFd(fd: number): this {
    const before = this.setFd(fd)
    if (this.#closesDescriptor && before >= 0 && before !== fd) native.socketClose(before)
    return this
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
    throwIfAborted(checkAbortSignal('options.signal', others.signal))
    if (socket.fd >= 0 || socket.connecting) {
      throw new EventError('ERR_EVENT_ACTIVE', 'The stream has a descriptor, or is connecting')
    }
    if (isNumeric(place) && Object.values(others).every((value) => value === undefined)) {
      socket.connect(place, timeout)
    } else {
      socket.connectBy(place, async (closed) => {
        const attempt = new AbortController()
        const abort = (reason: Error): void => attempt.abort(reason)
        const listeners = [onAbort(others.signal, abort), onAbort(closed, abort)]
        try {
          return await connect(this.flow.base, target, { ...options, signal: attempt.signal })
        } finally {
          for (const stopListening of listeners) stopListening()
        }
      })
    }
    return this
  }

  /**
   * Writes what the descriptor takes right now, instead of in the loop (`bufferevent_flush`). One of a pair hands over
   * what it has in spite of the other's high watermark.
   *
   * @param what READ and WRITE of `EV`; reading matters for a pair only
   * @param mode `'normal'` does nothing, `'flush'` writes, `'finished'` ends the writing side too, as {@link end}
   * @returns whether nothing is left to write
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
   * The stream as one of Node's, for `stream.pipeline`, `for await`, `tls.connect({ socket })` and the like. From here
   * on it belongs to the Duplex: its callbacks are taken, and destroying one closes the other. While it is open the
   * base's loop is not empty, unless {@link BufferEventDuplex.unref} was called.
   *
   * @param options `allowHalfOpen`, `true` by default: the writing side is not ended when the reading side is;
   *   `highWaterMark` in bytes, for both directions
   * @returns the same Duplex each time
   * @throws {EventError} `ERR_EVENT_CLOSED`, `ERR_INVALID_ARG_TYPE`
   */
  toDuplex(options?: DuplexOptions): BufferEventDuplex {
    this.open()
    const given = checkOptions(options) ?? {}
    this.#duplex ??= new BufferEventDuplex(this, this.flow, given)
    return this.#duplex
  }

  /**
   * Closes the stream, and its descriptor unless `closeOnFree` says otherwise (`bufferevent_free`). No callback comes
   * any more; what was not written is lost to the peer. Idempotent, and safe inside any callback. Closing the base
   * does the same.
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
    throw new EventError('ERR_EVENT_BAD_FLAGS', 'One of a pair has no descriptor')
  }
}

const MODES: readonly string[] = ['normal', 'flush', 'finished']
