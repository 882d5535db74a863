/**
 * System calls on raw descriptors that Node's `net` does not provide.
 *
 * Every descriptor made here is non-blocking and close-on-exec, and the caller owns it. A failed system call throws a
 * `SystemError`; a call that would block returns -1.
 */

import { constants } from 'node:os'

import { crossing, native } from '../native.js'
import {
  checkBoolean,
  checkBytes,
  checkFd,
  checkInteger,
  checkOptions,
  outOfRange,
  wrongType,
} from '../validate.js'
import { listenAt, type BindOptions } from './bind.js'
import { at, checkNumericTarget, toAddress, type SocketAddress, type Target } from './address.js'
import { checkLocal, type LocalOptions } from './local.js'
import {
  checkOption,
  fromNativeValue,
  toNativeValue,
  type CountOption,
  type SocketOption,
  type SwitchOption,
  type TimeOption,
} from './options.js'

export { bindDatagram, connectDatagram, receiveMany, sendMany } from './datagram.js'

/** An address to listen at, and the options of the socket. */
export type ListenTarget = Target & BindOptions

/**
 * Opens a listening socket. An internet socket is bound with `SO_REUSEADDR`; a path must not exist yet, even if it is
 * the socket of a process that has ended. Closing the socket does not remove the path.
 *
 * @param target a numeric host (or `'localhost'`: 127.0.0.1) and a port, 0 for any; or a unix socket's path; and how
 *   to bind
 * @returns the descriptor
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, ...; for an option `EOPNOTSUPP`, `ENOPROTOOPT`,
 *   `EPERM`; each with `address` and `port`
 */
export function listen(target: ListenTarget): number {
  return listenAt('target', target)
}

/**
 * Accepts a connection.
 *
 * @param fd a listening socket
 * @returns the descriptor of the connection; -1 if no connection waits
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `EMFILE`, `ENFILE`, `ECONNABORTED`, `EBADF`, ...
 */
export function accept(fd: number): number {
  return native.socketAccept(checkFd('fd', fd))
}

/**
 * Starts to connect. The connect is in progress on return: once the socket is writable, {@link error} returns its
 * result.
 *
 * @param target a numeric host (or `'localhost'`: 127.0.0.1) and a port, or a unix socket's path
 * @param options the local address
 * @returns the descriptor
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} an immediate failure, with `address` and `port`: `ENOENT` or `ECONNREFUSED` for a path,
 *   `ENETUNREACH`, ...; for a local address `EADDRNOTAVAIL`, `EADDRINUSE`, and `EAFNOSUPPORT` if it belongs to another
 *   address family
 */
export function connect(target: Target, options?: LocalOptions): number {
  const remote = checkNumericTarget('target', target)
  const local = checkLocal('options', checkOptions(options))
  return at(remote, () => native.socketConnect(remote.hostOrPath, remote.port, local))
}

/**
 * Makes two connected unix sockets.
 *
 * @throws {SystemError} `EMFILE`, `ENFILE`
 */
export function pair(): [number, number] {
  return native.socketPair() as [number, number]
}

/**
 * Makes a pipe.
 *
 * @returns the end to read from, then the end to write to
 * @throws {SystemError} `EMFILE`, `ENFILE`
 */
export function pipe(): [read: number, write: number] {
  return native.socketPipe() as [number, number]
}

function checkRange(buffer: Uint8Array, offset: number, length: number | undefined): number {
  checkBytes('buffer', buffer)
  checkInteger('offset', offset, 0, buffer.byteLength)
  const rest = Math.min(buffer.byteLength - offset, 0x7fff_ffff)
  return length === undefined ? rest : checkInteger('length', length, 0, rest)
}

/**
 * Reads from a descriptor.
 *
 * @param fd a descriptor
 * @param buffer the buffer to read into; not on a SharedArrayBuffer
 * @param offset the first byte in the buffer. Default 0
 * @param length the maximum number of bytes. Default: the rest of the buffer
 * @returns the number of bytes that were read; 0 at the end of the stream or if `length` is 0; -1 if no byte has arrived
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `ECONNRESET`, `EBADF`, ...
 */
export function read(fd: number, buffer: Uint8Array, offset = 0, length?: number): number {
  return crossing.socketRead(checkFd('fd', fd), buffer, offset, checkRange(buffer, offset, length))
}

/**
 * Reads bytes without removing them from the socket (`recv(2)` with `MSG_PEEK`).
 *
 * The bytes keep the socket readable, so that a level-triggered event fires again in the next pass. Wait for more with
 * `EV.READ | EV.ET`.
 *
 * @param fd a socket
 * @param buffer the buffer to read into; not on a SharedArrayBuffer
 * @param offset the first byte in the buffer. Default 0
 * @param length the maximum number of bytes. Default: the rest of the buffer
 * @returns the number of bytes that were read; 0 at the end of the stream or if `length` is 0; -1 if no byte has arrived
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `ENOTSOCK` for a descriptor that is not a socket, `ECONNRESET`, `EBADF`, ...
 */
export function peek(fd: number, buffer: Uint8Array, offset = 0, length?: number): number {
  return crossing.socketPeek(checkFd('fd', fd), buffer, offset, checkRange(buffer, offset, length))
}

/**
 * Writes as much as the descriptor accepts. A closed peer is reported as `EPIPE`, without SIGPIPE.
 *
 * @param fd a descriptor
 * @param buffer the buffer to write from; not on a SharedArrayBuffer
 * @param offset the first byte in the buffer. Default 0
 * @param length the maximum number of bytes. Default: the rest of the buffer
 * @returns the number of written bytes; -1 if the descriptor accepts none now
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `EPIPE`, `ECONNRESET`, `EBADF`, ...
 */
export function write(fd: number, buffer: Uint8Array, offset = 0, length?: number): number {
  return crossing.socketWrite(checkFd('fd', fd), buffer, offset, checkRange(buffer, offset, length))
}

const DIRECTIONS = ['read', 'write', 'both'] as const

/**
 * Ends one direction or both directions of a connection. The descriptor stays open.
 *
 * @param fd a socket
 * @param direction with `'write'` the peer reads the end of the stream
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `ENOTCONN`, `ENOTSOCK`, `EBADF`
 */
export function shutdown(fd: number, direction: 'read' | 'write' | 'both'): void {
  if (typeof direction !== 'string') throw wrongType('direction', 'of type string', direction)
  const how = DIRECTIONS.indexOf(direction)
  if (how < 0) throw outOfRange('direction', `one of ${DIRECTIONS.join(', ')}`, direction)
  native.socketShutdown(checkFd('fd', fd), how)
}

/**
 * Closes a descriptor. Delete its events first, and never close a descriptor that a relay, a listener or a stream owns:
 * the system may reuse its number immediately.
 *
 * @param fd a descriptor
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `EBADF` when it is not open; `EIO` and others for files; the descriptor is closed nevertheless
 */
export function close(fd: number): void {
  native.socketClose(checkFd('fd', fd))
}

/**
 * The local address of a socket.
 *
 * @param fd a socket
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `ENOTSOCK`, `EBADF`
 */
export function address(fd: number): SocketAddress {
  return toAddress(native.socketAddress(checkFd('fd', fd)))
}

/**
 * The address of the peer of a socket.
 *
 * @param fd a socket
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `ENOTCONN`, `ENOTSOCK`, `EBADF`
 */
export function peer(fd: number): SocketAddress {
  return toAddress(native.socketPeer(checkFd('fd', fd)))
}

/**
 * Returns the pending error of a socket, and clears it (`SO_ERROR`).
 *
 * A stream that is connected to itself has the error `ECONNREFUSED`. Such a connection results from a connect to a free
 * port of this host if the system chooses the same port as the local port (RFC 9293, section 3.5). When the descriptor
 * is closed, the port is free immediately.
 *
 * @param fd a socket
 * @returns a number of `os.constants.errno`; 0 if there is no error
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `ENOTSOCK`, `EBADF`
 */
export function error(fd: number): number {
  const errno = native.socketError(checkFd('fd', fd))
  return errno === constants.errno.EINPROGRESS ? 0 : errno
}

/**
 * Sets an option.
 *
 * @param fd a socket
 * @param option its name
 * @param value depending on the option a boolean, a number, or milliseconds, where `false` means no time
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `ENOPROTOOPT` if the system does not have the option, `EOPNOTSUPP` if the address family does
 *   not have it, `EPERM`, ...
 */
export function setOption(fd: number, option: SwitchOption, value: boolean): void
export function setOption(fd: number, option: CountOption, value: number): void
export function setOption(fd: number, option: TimeOption, value: number | false): void
export function setOption(fd: number, option: SocketOption, value: boolean | number): void {
  checkFd('fd', fd)
  native.socketSetOption(fd, option, toNativeValue(checkOption(option), value))
}

/**
 * Reads an option.
 *
 * @param fd a socket
 * @param option its name
 * @returns its value, in the form that {@link setOption} takes
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} the same as {@link setOption}
 */
export function getOption(fd: number, option: SwitchOption): boolean
export function getOption(fd: number, option: CountOption): number
export function getOption(fd: number, option: TimeOption): number | false
export function getOption(fd: number, option: SocketOption): boolean | number {
  checkFd('fd', fd)
  return fromNativeValue(checkOption(option), native.socketGetOption(fd, option))
}

/**
 * Makes a descriptor non-blocking, or blocking. The mode belongs to the open file description: it also changes for
 * every duplicate of the descriptor, even in other processes (`fcntl(2)`).
 *
 * @param fd a descriptor
 * @param nonblocking `false` makes it blocking. Default `true`
 * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 * @throws {SystemError} `EBADF`
 */
export function setNonblocking(fd: number, nonblocking = true): void {
  native.socketSetNonblocking(checkFd('fd', fd), checkBoolean('nonblocking', nonblocking))
}
