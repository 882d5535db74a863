/**
 * The protocol between clients and the upstream: a header of 9 bytes, which is a letter and a length, then bytes.
 *
 * - `U` upload: the client sends the bytes and ends; the upstream answers with their digest and ends.
 * - `D` download: the upstream sends the bytes, then their digest, and ends.
 * - `E` echo: the upstream sends back what arrives, and ends when the client does.
 */

import { createHash, randomBytes, type Hash } from 'node:crypto'
import type { Socket } from 'node:net'

export const HEADER_BYTES = 9
export const DIGEST_BYTES = 20

export function header(kind: 'U' | 'D' | 'E', length: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  bytes.write(kind, 'latin1')
  bytes.writeDoubleBE(length, 1)
  return bytes
}

export function parseHeader(bytes: Buffer): { kind: string; length: number } {
  return { kind: bytes.toString('latin1', 0, 1), length: bytes.readDoubleBE(1) }
}

export function digest(): Hash {
  return createHash('sha1')
}

const PIECE = 256 * 1024
const NOISE = randomBytes(PIECE * 2)

/** `length` random bytes in pieces, each from another offset, so that a swapped piece changes the digest. */
export function* pieces(length: number): Generator<Buffer> {
  let start = NOISE.readUInt32BE(0) % PIECE
  for (let left = length; left > 0; left -= PIECE) {
    yield NOISE.subarray(start, start + Math.min(left, PIECE))
    start = (start * 31 + 17) % PIECE
  }
}

/** Sends `length` bytes with back-pressure, and returns their digest. */
export async function send(to: Socket, length: number): Promise<Buffer> {
  const hash = digest()
  for (const piece of pieces(length)) {
    hash.update(piece)
    if (!to.write(piece)) await drained(to)
  }
  return hash.digest()
}

function drained(stream: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      stream.off('drain', onDrain).off('close', onClose)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onDrain = (): void => settle()
    const onClose = (): void => settle(new Error('the connection was closed early'))
    stream.once('drain', onDrain).once('close', onClose)
  })
}
