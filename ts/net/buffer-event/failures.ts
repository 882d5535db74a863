/** System errors that no call has thrown. */

import { constants } from 'node:os'

import { systemError } from '../../errors.js'
import { native } from '../../native.js'

/** The failure of a connection that was under way, from the number that waited on its socket. */
export function connectFailure(errno: number): Error {
  return systemError(-errno, 'connect')
}

/** The other end of a pair is closed. */
export function brokenPipe(): Error {
  return systemError(-constants.errno.EPIPE, 'write')
}

const WRITE = 1

/** Lets the peer read the end. What cannot be ended on one side, as a pipe, ends when it is closed. */
export function endOfDescriptor(fd: number): void {
  try {
    native.socketShutdown(fd, WRITE)
  } catch (error) {
    const { code } = error as { code?: unknown }
    // The peer is gone already, or it is no socket.
    if (code !== 'ENOTCONN' && code !== 'ENOTSOCK') throw error
  }
}
