/** System errors that no call throws. */

import { constants } from 'node:os'

import { systemError } from '../../errors.js'
import { native } from '../../native.js'

/** The error of a connect, from the pending error of its socket. */
export function connectFailure(errno: number): Error {
  return systemError(-errno, 'connect')
}

/** The error of writing to a pair whose other end is closed. */
export function brokenPipe(): Error {
  return systemError(-constants.errno.EPIPE, 'write')
}

const WRITE = 1

/** Ends the writing side, so that the peer reads the end. The writing side of a pipe ends when the pipe is closed. */
export function endOfDescriptor(fd: number): void {
  try {
    native.socketShutdown(fd, WRITE)
  } catch (error) {
    const { code } = error as { code?: unknown }
    // The peer has closed the connection, or the descriptor is not a socket.
    if (code !== 'ENOTCONN' && code !== 'ENOTSOCK') throw error
  }
}
