/**
 * Every error this package throws, made in one place.
 *
 * A refusal is an {@link EventError}; what the kernel refused is a {@link SystemError}, shaped like Node's own.
 * The stable identity of either is `code`; texts may change.
 */

/** The codes of {@link EventError}. */
export type EventErrorCode =
  /** No backend satisfies the configuration and the environment. */
  | 'ERR_EVENT_NO_METHOD'
  /** The base or the event is closed. */
  | 'ERR_EVENT_CLOSED'
  /** The loop is already running. */
  | 'ERR_EVENT_REENTRANT'
  /** Flags contradict each other. */
  | 'ERR_EVENT_BAD_FLAGS'
  /** The event is being finalized. */
  | 'ERR_EVENT_FINALIZING'
  /** The event, or an event of the base, is active. */
  | 'ERR_EVENT_ACTIVE'
  /** A base without locks was used from another thread. */
  | 'ERR_EVENT_WRONG_THREAD'
  /** Debug mode: a descriptor is in blocking mode. */
  | 'ERR_EVENT_BLOCKING'
  /** Debug mode: the engine contradicts itself. */
  | 'ERR_EVENT_INTERNAL'
  /** The process is a forked child, in which the base was not made anew. */
  | 'ERR_EVENT_FORKED'
  /** A number is outside its range. */
  | 'ERR_OUT_OF_RANGE'
  /** A value is of the wrong type. */
  | 'ERR_INVALID_ARG_TYPE'

/** A call that could not be meant. */
export class EventError extends Error {
  /** What went wrong, for programs. */
  readonly code: EventErrorCode

  /**
   * @param code what went wrong
   * @param message the same for people
   */
  constructor(code: EventErrorCode, message: string) {
    super(message)
    this.code = code
  }

  static {
    this.prototype.name = 'EventError'
  }
}

/** An error of the operating system, with the properties Node's own have. */
export interface SystemError extends Error {
  /** The name of the error: `'EPERM'`. */
  code: string
  /** Its number, negative. */
  errno: number
  /** The system call: `'epoll_ctl'`. */
  syscall: string
  /** The descriptor, where there was one. */
  fd?: number
}

/**
 * Makes an error of the operating system.
 *
 * @param code the name
 * @param message the description of the name
 * @param errno the negative number
 * @param syscall the system call
 * @param fd the descriptor, or -1
 */
export function systemError(
  code: string,
  message: string,
  errno: number,
  syscall: string,
  fd: number,
): SystemError {
  const error = new Error(message) as SystemError
  error.errno = errno
  error.code = code
  error.syscall = syscall
  if (fd >= 0) error.fd = fd
  return error
}

/** Makes the error that the native layer reports; an `errno` of 0 means that it is not the system's. */
export function errorFromNative(
  code: string,
  message: string,
  errno: number,
  syscall: string,
  fd: number,
): Error {
  return errno === 0
    ? new EventError(code as EventErrorCode, message)
    : systemError(code, message, errno, syscall, fd)
}

/** A base, or an event, that is used after it was closed. */
export function closedError(what: string): EventError {
  return new EventError('ERR_EVENT_CLOSED', `The ${what} is closed`)
}
