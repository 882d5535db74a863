/**
 * The errors that this package throws.
 *
 * An invalid call throws an {@link EventError}; a failed system call throws a {@link SystemError}, which has the
 * properties and the wording of Node's own system errors. `code` is the stable identity of both; messages may change.
 */

import { fileURLToPath } from 'node:url'
import { getSystemErrorMap } from 'node:util'

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
  /** Debug mode: the structures of the engine are inconsistent. */
  | 'ERR_EVENT_INTERNAL'
  /** The process is a forked child, in which `EventBase.reinit()` was not called. */
  | 'ERR_EVENT_FORKED'
  /** A number is outside its range. */
  | 'ERR_OUT_OF_RANGE'
  /** A value is of the wrong type. */
  | 'ERR_INVALID_ARG_TYPE'

/**
 * An error for which V8 captures no stack. If the program has made `Error.stackTraceLimit` constant, V8 captures one,
 * which takes longer.
 */
class BareError extends Error {
  constructor(message: string) {
    const { stackTraceLimit } = Error
    try {
      Error.stackTraceLimit = undefined as never
    } catch {
      // The property is constant.
    }
    try {
      super(message)
    } finally {
      // Does not call a function, which would fail where the stack overflows.
      try {
        Error.stackTraceLimit = stackTraceLimit
      } catch {
        // The property is constant.
      }
    }
  }
}

/** The error of an invalid call. */
export class EventError extends BareError {
  /** The reason, for programs. */
  readonly code: EventErrorCode
  /** Has the stack of this error. */
  readonly #captured: Error

  /**
   * @param code the reason
   * @param message the reason, for people
   */
  constructor(code: EventErrorCode, message: string) {
    super(message)
    // The accessor of the prototype takes its place.
    delete (this as Error).stack
    this.code = code
    this.#captured = new Error()
  }

  static {
    this.prototype.name = 'EventError'
    Object.defineProperty(this.prototype, 'stack', {
      get(this: EventError) {
        return #captured in this ? formatStack(this, this.#captured) : undefined
      },
      set(this: EventError, value: unknown) {
        setStack(this, value)
      },
      configurable: true,
      enumerable: false,
    })
  }
}

/** The error of a failed system call, with the properties of Node's own system errors. */
export interface SystemError extends Error {
  /** The name of the error: `'EPERM'`. */
  code: string
  /** Its number, negative. */
  errno: number
  /** The system call: `'epoll_ctl'`. */
  syscall: string
  /** The descriptor of the call, if it has one. */
  fd?: number
  /** The host or the path of the call, if it has one. */
  address?: string
  /** The port of the call, if it has one. */
  port?: number
}

/** The name that Node has for an error number: `'EPERM'` for -1. */
function nameOf(errno: number): string {
  return getSystemErrorMap().get(errno)?.[0] ?? `Unknown system error ${errno}`
}

/**
 * The message of a system error, in the wording of Node's `net` if the address is known, else of Node's `fs`.
 *
 * - `connect ECONNREFUSED 127.0.0.1:80`
 * - `bind EADDRINUSE: address already in use 127.0.0.1:80`
 * - `EPERM: operation not permitted, epoll_ctl fd 3`
 */
function messageOf({
  code,
  errno,
  syscall,
  fd,
  address,
  port,
}: Omit<SystemError, 'name' | 'message'>): string {
  const description = getSystemErrorMap().get(errno)?.[1] ?? 'unknown error'
  if (address === undefined) {
    return `${code}: ${description}, ${syscall}${fd === undefined ? '' : ` fd ${fd}`}`
  }
  const place = port === undefined || port === 0 ? address : `${address}:${port}`
  return syscall === 'connect' ? `connect ${code} ${place}` : `${syscall} ${code}: ${description} ${place}`
}

/**
 * Makes the error of a failed system call.
 *
 * @param errno the error number, negative
 * @param syscall the name of the system call
 * @param fd the descriptor, if there is one
 * @param code the name of the error, if the caller knows it
 */
export function systemError(
  errno: number,
  syscall: string,
  fd?: number,
  code: string = nameOf(errno),
): SystemError {
  const properties = fd === undefined ? { errno, code, syscall } : { errno, code, syscall, fd }
  const error = Reflect.construct(BareError, [messageOf(properties)], Error) as Error
  const captured = new Error()
  // Defining a property formats the stack that it replaces.
  delete error.stack
  Object.defineProperty(error, 'stack', {
    get: () => formatStack(error, captured),
    set: (value: unknown) => {
      setStack(error, value)
    },
    configurable: true,
    enumerable: false,
  })
  return Object.assign(error, properties)
}

/** Adds the address of a failed call to its system error. Does not change other errors. */
export function withAddress<E>(error: E, address: string, port?: number): E {
  if (!(error instanceof Error) || !('syscall' in error)) return error
  const failure = error as Error as SystemError
  failure.address = address
  if (port !== undefined) failure.port = port
  failure.message = messageOf(failure)
  return error
}

/** Makes the error that the native layer reports; an `errno` of 0 means that no system call failed. */
export function errorFromNative(
  code: string,
  message: string,
  errno: number,
  syscall: string,
  fd: number,
): Error {
  if (errno !== 0) return systemError(errno, syscall, fd < 0 ? undefined : fd, code)
  return new EventError(code as EventErrorCode, message.charAt(0).toUpperCase() + message.slice(1))
}

/** The error of a call on a closed object; `what` is the name of the object in the message. */
export function closedError(what: string): EventError {
  return new EventError('ERR_EVENT_CLOSED', `The ${what} is closed`)
}

/**
 * The folder of this package's files in a stack, as a URL, and as a path for a loader or a test runner that rewrites the
 * stack. Empty in a bundle, where one file also contains the code of the caller.
 */
const ownFolder: readonly string[] = namesOfFolder(import.meta.url as string | undefined)

function namesOfFolder(file = ''): string[] {
  if (!/\/(?:dist\/ts\/errors\.js|ts\/errors\.ts)$/.test(file)) return []
  const folder = new URL('.', file)
  return [folder.href, fileURLToPath(folder)]
}

function isOwn(frame: string): boolean {
  return frame.endsWith('(<anonymous>)') || ownFolder.some((folder) => frame.includes(folder))
}

const FIRST_FRAME = '\n    at '

/*
 * The stack of an error of this package starts at the caller of the package. `Error.captureStackTrace` needs the public
 * function that was called, which the checks and the native layer do not know, so the frames of this package are removed
 * from the text. V8 formats the text when it is first read, which takes longer than everything else that makes the
 * error, and most programs read the code only. So the error itself has no stack of V8, but an accessor, and another
 * error captures the frames.
 */

/** Removes the frames of this package from the top of a stack. A stack that has no other frames is unchanged. */
function withoutOwnFrames(stack: string): string {
  const start = stack.indexOf(FIRST_FRAME)
  const frames = stack.slice(start + 1).split('\n')
  const first = start < 0 ? -1 : frames.findIndex((frame) => !isOwn(frame))
  return first > 0 ? [stack.slice(0, start), ...frames.slice(first)].join('\n') : stack
}

/**
 * Formats a stack that was captured for an error, without the frames of this package at its top, and makes it the
 * `stack` of the error. If `Error.prepareStackTrace` throws, so does this.
 */
function formatStack(error: Error, captured: Error): string | undefined {
  if (!Object.hasOwn(captured, 'stack')) return undefined
  // The stack starts with the name and the message of the error.
  const stack: unknown = (Object.setPrototypeOf(captured, error) as Error).stack
  const formatted = typeof stack === 'string' ? withoutOwnFrames(stack) : stack
  // A frozen error keeps its accessor.
  Reflect.defineProperty(error, 'stack', describeStack(formatted))
  return formatted as string | undefined
}

function describeStack(value: unknown): PropertyDescriptor {
  return { value, writable: true, configurable: true, enumerable: false }
}

function setStack(error: Error, value: unknown): void {
  Object.defineProperty(error, 'stack', describeStack(value))
}
