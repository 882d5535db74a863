/** Memory to read into. */

import { crossing } from '../../native.js'

/** Bytes of a slab, as in Node's own streams; more where more are read at once. */
const SLAB = 65_536

let slab: Buffer = Buffer.alloc(0)
let used = 0

/** What {@link receive} answers when nothing is there yet. */
export const NOTHING: unique symbol = Symbol('nothing')

/**
 * Reads up to `most` bytes of a descriptor into a slab that all streams of the thread share one behind the other, so
 * that little reads take little memory. At the end of the stream what came is empty.
 *
 * @throws {SystemError} what `read` throws
 */
export function receive(fd: number, most: number): Buffer | typeof NOTHING {
  // A read that gets less room than it may take costs another one.
  if (slab.length - used < Math.min(most, SLAB) / 2) {
    slab = Buffer.allocUnsafeSlow(Math.max(most, SLAB))
    used = 0
  }
  const begin = used
  const count = crossing.socketRead(fd, slab, begin, Math.min(most, slab.length - begin))
  if (count < 0) return NOTHING
  used += count
  return slab.subarray(begin, begin + count)
}
