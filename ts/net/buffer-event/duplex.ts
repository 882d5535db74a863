/** A buffer event as a Duplex stream of Node. */

import { Duplex } from 'node:stream'

import { EV } from '../../constants.js'
import type { EventBase } from '../../event-base.js'
import { closedError } from '../../errors.js'
import { showAs, textOfError } from '../../inspect.js'
import { checkBoolean, checkCallback, checkInteger, checkOptions, checkTimeout } from '../../validate.js'
import type { SocketAddress } from '../address.js'
import { address, peer, setOption } from '../socket.js'
import { BEV } from './bits.js'
import type { BufferEvent } from './buffer-event.js'
import type { Flow } from './flow.js'
import { Presence } from './presence.js'

/** Options of a Duplex. */
export interface DuplexOptions {
  /** The writing side stays open when the reading side has ended. Default `true`, as for every Duplex. */
  allowHalfOpen?: boolean | undefined
  /** The high water mark of both directions in bytes: an integer from 0 to 2^53 - 1. Default: that of Node. */
  highWaterMark?: number | undefined
}

/** Checks the options of a Duplex, and returns those that are given. */
export function checkDuplexOptions(options: DuplexOptions | undefined): DuplexOptions {
  const { allowHalfOpen, highWaterMark } = checkOptions(options)
  return {
    ...(allowHalfOpen !== undefined && {
      allowHalfOpen: checkBoolean('options.allowHalfOpen', allowHalfOpen),
    }),
    ...(highWaterMark !== undefined && {
      highWaterMark: checkInteger('options.highWaterMark', highWaterMark, 0, Number.MAX_SAFE_INTEGER),
    }),
  }
}

/**
 * The minimum number of bytes that are read ahead of the stream's own buffer, so that reading does not stop after each
 * read.
 */
const AHEAD = 65_536

/** The host's timers, which test frameworks may replace after this module is loaded. */
const { setTimeout, clearTimeout } = globalThis
/** The longest time of a host's timer, in milliseconds: 24.8 days. */
const LONGEST = 0x7fff_ffff

type Done = (error?: Error | null) => void

/**
 * A {@link BufferEvent} as a Duplex, with further members of `net.Socket`. Made by {@link BufferEvent.toDuplex}.
 * Reading pauses at the high water mark of the Duplex, and then at the high watermark of the buffer event. A write
 * completes when the descriptor has accepted it. `end()` ends the writing side after the last byte. A failure destroys
 * the Duplex, and destroying it closes the buffer event.
 *
 * Emits `'connect'` and `'ready'` when a connect in progress has succeeded, and `'timeout'` when the time of
 * {@link setTimeout} or the timeout of a direction has expired; the direction then continues.
 */
export class BufferEventDuplex extends Duplex {
  readonly #stream: BufferEvent
  readonly #flow: Flow
  readonly #presence: Presence
  /** Completes the write in progress. */
  #written: Done | undefined
  #finished: Done | undefined
  #wants = false
  #hasEnded = false
  #idle: NodeJS.Timeout | undefined
  /** The number of bytes that had moved when the time was restarted. */
  #moved = 0
  /** Milliseconds of {@link setTimeout}; 0 means no timeout. */
  #timeout = 0

  /**
   * @internal
   * @param options checked by {@link checkDuplexOptions}
   */
  constructor(stream: BufferEvent, flow: Flow, options: DuplexOptions) {
    super(options)
    this.#stream = stream
    this.#flow = flow
    this.#presence = Presence.of(stream.base)
    const readHigh = flow.readHigh === 0 ? Math.max(this.readableHighWaterMark, AHEAD) : flow.readHigh
    stream.setWatermarks({ readLow: 0, readHigh, writeLow: 0 })
    stream.setCallbacks({
      onRead: () => this.#pull(),
      onWrite: () => this.#drained(),
      onEvent: (what, _stream, error) => this.#happened(what, error),
    })
    flow.onClose = () => void this.destroy()
    if ((stream.enabled & EV.WRITE) === 0) stream.enable(EV.WRITE)
    this.#presence.hold(this)
  }

  /** Its buffer event. */
  get bufferEvent(): BufferEvent {
    return this.#stream
  }

  /** The base of its buffer event. */
  get base(): EventBase {
    return this.#stream.base
  }

  /** Whether a connect is in progress. */
  get connecting(): boolean {
    return this.#stream.connecting
  }

  /** Whether there is no connection yet. */
  get pending(): boolean {
    return this.connecting
  }

  /** The number of bytes received. */
  get bytesRead(): number {
    return this.#flow.bytesRead
  }

  /** The number of bytes written, including those in the output. */
  get bytesWritten(): number {
    return this.#flow.bytesWritten + this.#flow.output.length
  }

  /** Milliseconds of {@link setTimeout}; `undefined` if no timeout is set. */
  get timeout(): number | undefined {
    return this.#timeout === 0 ? undefined : this.#timeout
  }

  /** The host of the peer; `undefined` if it has none. */
  get remoteAddress(): string | undefined {
    return hostOf(this.#address(peer))
  }

  /** The port of the peer. */
  get remotePort(): number | undefined {
    return portOf(this.#address(peer))
  }

  /** The address family of the peer. */
  get remoteFamily(): string | undefined {
    return familyOf(this.#address(peer))
  }

  /** The local host. */
  get localAddress(): string | undefined {
    return hostOf(this.#address(address))
  }

  /** The local port. */
  get localPort(): number | undefined {
    return portOf(this.#address(address))
  }

  /** The local address family. */
  get localFamily(): string | undefined {
    return familyOf(this.#address(address))
  }

  /** The local address in the form of `net.Socket`; an empty object if there is none. */
  address(): object {
    const found = this.#address(address)
    if (found === undefined || 'path' in found) return {}
    return { address: found.host, port: found.port, family: found.family }
  }

  /**
   * Emits `'timeout'` when no byte has moved for a time, without closing the stream. The next byte restarts the time.
   *
   * @param timeout milliseconds; with 0, `'timeout'` is not emitted. A value above 2147483647, which is 24.8 days,
   *   counts as 2147483647. Has no effect once the stream is destroyed
   * @param callback called once, with the first `'timeout'`
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  setTimeout(timeout: number, callback?: () => void): this {
    checkTimeout('timeout', timeout)
    if (callback !== undefined) checkCallback('callback', callback)
    if (this.destroyed) return this
    clearTimeout(this.#idle)
    this.#timeout = timeout
    if (timeout === 0) {
      if (callback !== undefined) this.off('timeout', callback)
      return this
    }
    if (callback !== undefined) this.once('timeout', callback)
    this.#idle = setTimeout(() => this.#expired(), Math.min(timeout, LONGEST)).unref()
    this.#restart()
    return this
  }

  /** Sets whether small writes are sent without delay (`TCP_NODELAY`). Has an effect only on a TCP connection. */
  setNoDelay(noDelay = true): this {
    this.#option(() => setOption(this.#stream.fd, 'noDelay', noDelay))
    return this
  }

  /** Sets whether an idle connection is probed (`SO_KEEPALIVE`). Has an effect only on a TCP connection. */
  setKeepAlive(enable = false, initialDelay = 0): this {
    this.#option(() => {
      setOption(this.#stream.fd, 'keepAlive', enable)
      if (enable && initialDelay >= SECOND) setOption(this.#stream.fd, 'keepAliveIdle', initialDelay)
    })
    return this
  }

  /** Keeps the loop of its base from being empty, which is the default. */
  ref(): this {
    if (!this.destroyed) this.#presence.hold(this)
    return this
  }

  /** Lets the loop of its base be empty while nothing is read or written. */
  unref(): this {
    this.#presence.release(this)
    return this
  }

  /** Ends the writing side, and destroys the stream once everything was written. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => void this.destroy())
  }

  override _read(): void {
    this.#wants = true
    this.#pull()
    if (this.#hasEnded || this.destroyed || (this.#stream.enabled & EV.READ) !== 0) return
    try {
      this.#stream.enable(EV.READ)
    } catch (error) {
      this.destroy(error as Error)
    }
  }

  override _write(chunk: Buffer, _encoding: string, done: Done): void {
    this.#written = done
    this.#restart()
    this.#flow.callbacks.enter(() => this.#flow.output.append(chunk))
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.#written = done
    this.#restart()
    this.#flow.callbacks.enter(() => {
      for (const { chunk } of chunks) this.#flow.output.append(chunk)
    })
  }

  override _final(done: Done): void {
    if (this.#flow.ended) {
      done()
      return
    }
    this.#finished = done
    this.#flow.callbacks.enter(() => this.#stream.end())
  }

  override _destroy(error: Error | null, done: Done): void {
    clearTimeout(this.#idle)
    this.#presence.release(this)
    this.#flow.onClose = undefined
    let failure = error
    try {
      this.#stream.close()
    } catch (reason) {
      failure ??= reason as Error
    }
    const written = this.#written
    this.#written = undefined
    written?.(failure ?? closedError('stream'))
    done(failure)
  }

  /** Pushes received bytes as long as the stream accepts them. */
  #pull(): void {
    this.#restart()
    const { input } = this.#stream
    while (this.#wants) {
      const chunk = input.shift()
      if (chunk === undefined) break
      this.#wants = this.push(chunk)
    }
    if (this.#hasEnded && input.length === 0 && !this.readableEnded) this.push(null)
  }

  #drained(): void {
    this.#restart()
    if (this.#flow.output.length > 0) return
    const written = this.#written
    this.#written = undefined
    written?.()
    if (!this.#flow.ended) return
    const finished = this.#finished
    this.#finished = undefined
    finished?.()
  }

  #happened(what: number, error: Error | undefined): void {
    if ((what & BEV.CONNECTED) !== 0) {
      this.emit('connect')
      this.emit('ready')
    } else if ((what & BEV.ERROR) !== 0) {
      this.destroy(error)
    } else if ((what & BEV.EOF) !== 0) {
      this.#hasEnded = true
      this.#pull()
    } else if ((what & BEV.TIMEOUT) !== 0) {
      this.emit('timeout')
      if (!this.destroyed) this.#stream.enable(what & BEV.READING ? EV.READ : EV.WRITE)
    }
  }

  /** Restarts the time of {@link setTimeout}. */
  #restart(): void {
    this.#moved = this.bytesRead + this.#flow.bytesWritten
    this.#idle?.refresh()
  }

  #expired(): void {
    // A part of the output may have been sent without a callback.
    if (this.bytesRead + this.#flow.bytesWritten === this.#moved) this.emit('timeout')
    else this.#restart()
  }

  #address(read: (fd: number) => SocketAddress): SocketAddress | undefined {
    const { fd } = this.#stream
    if (fd < 0) return undefined
    try {
      return read(fd)
    } catch {
      // Not connected, or not a socket.
      return undefined
    }
  }

  #option(set: () => void): void {
    if (this.#stream.fd < 0) return
    try {
      set()
    } catch {
      // Not a TCP connection, or one that has failed, which is reported elsewhere.
    }
  }

  static {
    showAs(BufferEventDuplex, 'BufferEventDuplex', (duplex) => ({
      fd: duplex.#flow.channel.fd,
      connecting: duplex.#flow.channel.connecting ? true : undefined,
      readableLength: duplex.readableLength,
      writableLength: duplex.writableLength,
      bytesRead: duplex.#flow.bytesRead,
      bytesWritten: duplex.#flow.bytesWritten,
      error: textOfError(duplex.errored ?? undefined),
      destroyed: duplex.destroyed,
    }))
  }
}

const SECOND = 1000

function hostOf(found: SocketAddress | undefined): string | undefined {
  return found !== undefined && 'host' in found ? found.host : undefined
}

function portOf(found: SocketAddress | undefined): number | undefined {
  return found !== undefined && 'host' in found ? found.port : undefined
}

function familyOf(found: SocketAddress | undefined): string | undefined {
  return found !== undefined && 'host' in found ? found.family : undefined
}
