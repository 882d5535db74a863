/** Accepting connections. */

import { AsyncResource } from 'node:async_hooks'

import type { EventBase } from '../event-base.js'
import { closedError } from '../errors.js'
import { native } from '../native.js'
import { checkBoolean, checkCallback, checkFd, checkInteger, checkObject, outOfRange } from '../validate.js'
import {
  toAddress,
  type HostAndPort,
  type InternetAddress,
  type SocketAddress,
  type UnixPath,
} from './address.js'
import { BEFORE_BIND, checkBacklog, listenAt } from './bind.js'
import { pathRemover } from './own-path.js'
import { address as addressOf, type ListenTarget } from './socket.js'
import { Sources, type Completion, type Source } from './sources.js'

/** A listening socket that a service manager or a parent process has opened. */
export interface InheritedListener {
  /**
   * A descriptor of a socket that listens. The listener owns it, makes it non-blocking and closes it, unless the
   * descriptor is refused because of its kind. Its path, if it has one, is not removed.
   */
  fd: number
  /** Makes a bound socket listen, or changes its backlog: see `BindOptions`. Default: neither. */
  backlog?: number | undefined
}

/** Options of a listener. */
export interface AcceptOptions {
  /** How many connections are accepted in one pass of the loop, before other events are dispatched. Default 64. */
  batch?: number | undefined
  /** Whether it accepts nothing until `resume()`. */
  paused?: boolean | undefined
  /**
   * Called when accepting fails. During a shortage of descriptors or memory the listener retries after `retryAfter`
   * milliseconds and then less often, and reports the shortage once; without a callback that is a process warning. If
   * `retryAfter` is `undefined`, the failure is permanent and the listener is closed; without a callback that error is
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

/** Checks a listening socket from elsewhere. `prefix` is the name of the options in messages. */
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
  readonly #removePath: () => void
  readonly #onConnection: ConnectionCallback<Address>
  readonly #onError: ((error: Error, retryAfter: number | undefined) => void) | undefined
  readonly #context: AsyncResource = new AsyncResource('EventBaseListener', { requireManualDestroy: true })
  #closed = false

  /** @internal */
  constructor(sources: Sources, options: ListenOptions, onConnection: ConnectionCallback<Address>) {
    const given = checkObject('options', options)
    const { batch = 64, onError } = given
    checkInteger('options.batch', batch, 1, 0x7fff_ffff)
    const paused = checkBoolean('options.paused', given.paused)
    if (onError !== undefined) checkCallback('options.onError', onError)
    const isInherited = 'fd' in given && given.fd !== undefined
    const fd = isInherited ? adopt('options', given) : listenAt('options', given as ListenTarget)
    // The address is of the target's kind.
    this.#address = addressOf(fd) as Address
    this.#removePath = isInherited ? () => {} : pathRemover(this.#address)
    this.#fd = fd
    this.#sources = sources
    this.#onConnection = onConnection
    this.#onError = onError
    this.#key = native.netListen(sources.core.handle, fd, batch, paused)
    sources.add(this.#key, this)
  }

  /** The address it listens at, with the port that the system chose for port 0. */
  get address(): Address {
    return this.#address
  }

  /** The base whose loop accepts. */
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
   * Accepts nothing until {@link resume}: connections wait in the system's queue. Idempotent.
   *
   * @throws {EventError} `ERR_EVENT_CLOSED`
   */
  pause(): this {
    if (this.#closed) throw closedError('listener')
    native.netPause(this.#sources.core.handle, this.#key)
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
    return this
  }

  /**
   * Stops listening. The system resets connections that were not accepted. A path that it made is removed. Idempotent,
   * and safe inside its own callback, after which no further connection is reported. Closing the base does the same.
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
    this.#removePath()
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
}

/**
 * Listens and accepts in the base's loop, a bounded batch in each pass. During a shortage of descriptors or memory it
 * pauses, for 10 ms at first and up to a second, and then retries.
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
 * @param base whose loop accepts
 * @param options a numeric host (or `'localhost'`: 127.0.0.1) and a port, or a unix socket's path, and how to
 *   bind; or the descriptor of a listening socket made elsewhere, such as {@link inheritedDescriptors} returns; and
 *   how to accept
 * @param onConnection called for each connection, with its descriptor, which the callback owns, and the
 *   address of its peer
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_EVENT_CLOSED`
 * @throws {SystemError} `EADDRINUSE` (also for a path that exists, such as one that a process left when it ended),
 *   `EADDRNOTAVAIL`, `EACCES`, `EMFILE`, ...; for an option `EOPNOTSUPP` where the address family lacks it,
 *   `ENOPROTOOPT` where the system does, `EPERM` where it is not allowed; for a descriptor `EBADF`, `ENOTSOCK`, and
 *   `EINVAL` where it does not listen
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
