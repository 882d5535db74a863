/** Memory to read into. */

import { crossing } from '../../native.js'
import { copyOf } from './byte-queue.js'

/** The maximum number of bytes of one read, even if the stream allows more. */
const MOST = 1 << 20

/** The memory for the next read of any stream of this thread. Nothing else references it. */
let room: Buffer = Buffer.alloc(0)

/** The value that {@link receive} returns when the read would block. */
export const NOTHING: unique symbol = Symbol('nothing')

/**
 * Reads up to `most` bytes from a descriptor. It reads fewer only if fewer have arrived or `most` is above 1 MiB. The
 * result is empty at the end of the stream.
 *
 * The caller owns the memory of the result. If the read filled the memory, the result is that memory; otherwise it is a
 * copy of the bytes that were read, so that a small read keeps little memory alive.
 *
 * @throws {SystemError} as `read`
 */
export function receive(fd: number, most: number): Buffer | typeof NOTHING {
  const size = Math.min(most, MOST)
  if (room.length < size) room = Buffer.allocUnsafeSlow(size)
  const count = crossing.socketRead(fd, room, 0, size)
  if (count < 0) return NOTHING
  if (count < room.length) return copyOf(room.subarray(0, count))
  const full = room
  room = Buffer.alloc(0)
  return full
}
