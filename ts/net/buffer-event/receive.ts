/** Memory to read into. */

import { crossing } from '../../native.js'
import { copyOf } from './byte-queue.js'

/** The most bytes that one read takes, whatever the stream allows. */
const MOST = 1 << 20

/** What the next read of any stream of this thread is put into. Nothing else refers to it. */
let room: Buffer = Buffer.alloc(0)

/** What {@link receive} returns when the read would block. */
export const NOTHING: unique symbol = Symbol('nothing')

/**
 * Reads up to `most` bytes of a descriptor, fewer than `most` only if fewer are there or `most` is above 1 MiB. The
 * result is empty at the end of the stream.
 *
 * The caller owns the memory: the room itself if it was filled, else a copy of the length of what was read, so that
 * small reads take little memory and a result holds nothing else.
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
