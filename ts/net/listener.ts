/** Accepting connections. */

import { AsyncResource } from 'node:async_hooks'

import type { EventBase } from '../event-base.js'
import { closedError } from '../errors.js'
import { showAs } from '../inspect.js'
import { native } from '../native.js'
import { checkBoolean, checkCallback, checkFd, checkInteger, checkObject, outOfRange } from '../validate.js'
import {
  formatAddress,
  toAddress,
  type HostAndPort,
  type InternetAddress,
  type SocketAddress,
  type UnixPath,
} from './address.js'
import { BEFORE_BIND, checkBacklog, listenAt } from './bind.js'
import { OwnPath } from './own-path.js'
import { address as addressOf, type ListenTarget } from './socket.js'
import { Sources, type Completion, type Source } from './sources.js'

/** A listening socket that a service manager or a parent process has opened. */
export interface InheritedListener {
  /**
   * A descriptor of a listening socket, which is made non-blocking. The listener owns and closes it; if the call fails,
   * the caller continues to own it. The path of the socket, if it has one, is not removed.
   */
  fd: number
  /**
   * Makes a bound socket listen, or changes the backlog of a listening one: see `BindOptions`. By default the socket is
   * not changed.
   */
  backlog?: number | undefined
}

/** Options of a listener. */
export interface AcceptOptions {
  /**
   * The maximum number of connections that are accepted in one pass of the loop, before other events are dispatched. 1
   * to 2147483647. Default 64.
   */
  batch?: number | undefined
  /** Whether the listener accepts nothing until `resume()` is called. Default `false`. */
  paused?: boolean | undefined
  /**
   * Called when accepting fails. During a shortage of descriptors or memory the listener retries after `retryAfter`
   * milliseconds and then less often, and reports the shortage once; without a callback, it emits a process warning. If
   * `retryAfter` is `undefined`, the failure is permanent and the listener is closed; without a callback, the error is
   * thrown.
   */
  onError?: ((error: Error, retryAfter: number | undefined) => void) | undefined
}

/** The address of a listener, and its options. */
export type ListenOptions = (ListenTarget | InheritedListener) & AcceptOptions

/** Called for each connection. The callback owns its descriptor. */
export type ConnectionCallback<Address extends SocketAddress = SocketAddress> = (
  fd: number,
  peer: Address,
) => void

/**
 * Checks the descriptor of an inherited listening socket, and returns it. `prefix` is the name of the options in
 * messages.
 */
export function adopt(prefix: string, options: InheritedListener): number {
  const fd = checkFd(`${prefix}.fd`, options.fd)
  for (const name of ['host', 'port', 'path', ...BEFORE_BIND]) {
    const value: unknown = (options as unknown as Record<string, unknown>)[name]
    if (value !== undefined) throw outOfRange(`${prefix}.${name}`, 'undefined beside "fd"', value)
  }
  const { backlog } = options
  const length = backlog === undefined ? -1 : checkBacklog(`${prefix}.backlog`, backlog)
  native.socketCheckListening(fd, length)
  return fd
}

/** Accepts connections in a base's loop. Made by {@link listen}. */
export class Listener<Address extends SocketAddress = SocketAddress> implements Source {
  readonly #sources: Sources
  readonly #key: number
  readonly #fd: number
  readonly #address: Address
  /** The address as text, which the caller cannot change. */
  readonly #place: string
  readonly #path: OwnPath | undefined
  readonly #onConnection: ConnectionCallback<Address>
  readonly #onError: ((error: Error, retryAfter: number | undefined) => void) | undefined
  readonly #context: AsyncResource = new AsyncResource('EventBaseListener', { requireManualDestroy: true })
  #paused: boolean
  #closed = false

  /** @internal */
  constructor(sources: Sources, options: ListenOptions, onConnection: ConnectionCallback<Address>) {
    const given = checkObject('options', options)
    const { batch = 64, onError } = given
    checkInteger('options.batch', batch, 1, 0x7fff_ffff)
    const paused = checkBoolean('options.paused', given.paused)
    if (onError !== undefined) checkCallback('options.onError', onError)
    this.#sources = sources
    this.#paused = paused
    this.#onConnection = onConnection
    this.#onError = onError
    const isInherited = 'fd' in given && given.fd !== undefined
    const fd = isInherited ? adopt('options', given) : listenAt('options', given as ListenTarget)
    this.#fd = fd
    try {
      // The address has the same kind as the target.
      this.#address = addressOf(fd) as Address
      this.#place = formatAddress(this.#address)
      this.#path = isInherited ? undefined : OwnPath.of(fd, this.#address)
      this.#key = native.netListen(sources.core.handle, fd, batch, paused)
    } catch (error) {
      this.#path?.remove()
      if (!isInherited) native.socketClose(fd)
      throw error
    }
    sources.add(this.#key, this)
  }

  /** The address that it listens at, with the port that the system chose for port 0. */
  get address(): Address {
    return this.#address
  }

  /** The base whose loop accepts the connections. */
  get base(): EventBase {
    return this.#sources.core.owner
  }

  /** The listening socket, which the listener owns and closes; -1 once it is closed. */
  get fd(): number {
    return this.#closed ? -1 : this.#fd
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed
  }

  /**
   * Stops accepting until {@link resume} is called: connections wait in the system's queue. Idempotent.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  pause(): this {
    if (this.#closed) throw closedError('listener')
    native.netPause(this.#sources.core.handle, this.#key)
    this.#paused = true
    return this
  }

  /**
   * Accepts again.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  resume(): this {
    if (this.#closed) throw closedError('listener')
    native.netResume(this.#sources.core.handle, this.#key)
    this.#paused = false
    return this
  }

  /**
   * Stops listening. The system resets connections that were not accepted. The path that the listener bound is removed,
   * unless another file has replaced it, so that another socket can be bound there. No further connection is reported.
   * Idempotent, and safe inside its own callback. Closing the base does the same.
   *
   * @throws {SystemError} `EACCES`, `EROFS`, ... of `unlink`, with `address`, when the path cannot be removed; the
   *   listener is closed nevertheless
   */
  close(): void {
    if (this.#closed) return
    native.netClose(this.#sources.core.handle, this.#key)
    this.#sources.remove(this.#key)
    this.#finish()
  }

  /** {@link close}, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  #finish(): void {
    this.#closed = true
    this.#context.emitDestroy()
    this.#path?.remove()
  }

  /** @internal */
  complete(completion: Completion): void {
    if (completion.kind === 'accepted') {
      const peer = toAddress(completion.peer) as Address
      this.#context.runInAsyncScope(this.#onConnection, undefined, completion.fd, peer)
      return
    }
    if (completion.kind !== 'acceptFailed') return
    const { error } = completion
    const retryAfter = completion.retryAfter < 0 ? undefined : completion.retryAfter
    if (retryAfter === undefined) {
      this.#sources.remove(this.#key)
      this.#finish()
    }
    if (this.#onError !== undefined) {
      this.#context.runInAsyncScope(this.#onError, undefined, error, retryAfter)
    } else if (retryAfter === undefined) {
      throw error
    } else {
      process.emitWarning(`${error.message}; the listener retries`, 'EventBaseWarning')
    }
  }

  /** @internal */
  baseClosed(): void {
    this.#finish()
  }

  static {
    showAs(Listener, 'Listener', (listener) => ({
      address: listener.#place,
      fd: listener.fd,
      paused: listener.#paused,
      closed: listener.#closed,
    }))
  }
}

/**
 * Listens, and accepts connections in the base's loop, at most `batch` of them in each pass. During a shortage of
 * descriptors or memory the listener pauses, for 10 ms at first and later for up to a second, and then retries.
 *
 * ```ts
 * import { EventBase } from 'event-base'
 * import { connect, listen, socket } from 'event-base/net'
 *
 * const base = new EventBase()
 * const listener = listen(base, { host: '127.0.0.1', port: 0 }, (fd, peer) => {
 *   console.log('a connection from', peer)
 *   socket.close(fd)
 *   listener.close()
 * })
 * console.log('listening at', listener.address)
 * const running = base.run()
 * socket.close(await connect(base, listener.address))
 * await running
 * ```
 *
 * @param base the base whose loop accepts the connections
 * @param options a numeric host (or `'localhost'`: 127.0.0.1) and a port, or a unix socket's path, with the options for
 *   binding; or the descriptor of a listening socket, such as one that {@link inheritedDescriptors} returns. In both
 *   cases also the options for accepting
 * @param onConnection called for each connection, with its descriptor, which the callback owns, and the
 *   address of its peer
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
 * @throws {SystemError} `EADDRINUSE` (also for a path that exists, such as one that a process left when it ended),
 *   `EADDRNOTAVAIL`, `EACCES`, `EMFILE`, ...; for an option `EOPNOTSUPP` if the address family lacks it, `ENOPROTOOPT`
 *   if the system lacks it, `EPERM` if it is not permitted; for a descriptor `EBADF`, `ENOTSOCK`, and `EINVAL` if it
 *   does not listen
 */
export function listen(
  base: EventBase,
  options: ListenOptions & HostAndPort,
  onConnection: ConnectionCallback<InternetAddress>,
): Listener<InternetAddress>
export function listen(
  base: EventBase,
  options: ListenOptions & UnixPath,
  onConnection: ConnectionCallback<UnixPath>,
): Listener<UnixPath>
export function listen(base: EventBase, options: ListenOptions, onConnection: ConnectionCallback): Listener
export function listen<Address extends SocketAddress>(
  base: EventBase,
  options: ListenOptions,
  onConnection: ConnectionCallback<Address>,
): Listener<Address> {
  const sources = Sources.of(base)
  checkCallback('onConnection', onConnection)
  return new Listener(sources, options, onConnection)
}
