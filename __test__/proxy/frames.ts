/** WebSocket frames (RFC 6455), the part that tests of a proxy need. */

import { createHash } from 'node:crypto'

/** The kinds of frames: RFC 6455, section 5.2. */
export const Opcode = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const

/** A received frame. */
export interface Frame {
  readonly final: boolean
  readonly opcode: number
  readonly masked: boolean
  readonly payload: Buffer
}

/** The answer to a client's key (section 4.2.2). */
export function acceptance(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

function masked(payload: Uint8Array, mask: Uint8Array): Buffer {
  return Buffer.from(payload.map((byte, index) => byte ^ (mask[index & 3] ?? 0)))
}

/** A frame's bytes. A client's frames are masked, a server's are not (section 5.1). */
export function frame(
  opcode: number,
  payload: Uint8Array,
  { final = true, mask }: { final?: boolean; mask?: Uint8Array } = {},
): Buffer {
  const { length } = payload
  const size = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const head = Buffer.alloc(2 + size)
  head[0] = (final ? 0x80 : 0) | opcode
  head[1] = (mask === undefined ? 0 : 0x80) | (size === 0 ? length : size === 2 ? 126 : 127)
  if (size === 2) head.writeUInt16BE(length, 2)
  if (size === 8) head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat(mask === undefined ? [head, payload] : [head, mask, masked(payload, mask)])
}

/** Assembles frames from the pieces of a stream. */
export class Deframer {
  readonly frames: Frame[] = []
  #rest: Buffer = Buffer.alloc(0)

  /** Takes a piece, and returns the frames that it completes. */
  push(piece: Buffer): readonly Frame[] {
    this.#rest = Buffer.concat([this.#rest, piece])
    const found: Frame[] = []
    for (let next = this.#next(); next !== undefined; next = this.#next()) found.push(next)
    this.frames.push(...found)
    return found
  }

  #next(): Frame | undefined {
    const rest = this.#rest
    const [first, second] = rest
    if (first === undefined || second === undefined) return undefined
    const short = second & 0x7f
    const size = short < 126 ? 0 : short === 126 ? 2 : 8
    const isMasked = (second & 0x80) !== 0
    const start = 2 + size + (isMasked ? 4 : 0)
    if (rest.length < start) return undefined
    const length = size === 0 ? short : size === 2 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2))
    if (rest.length < start + length) return undefined
    const body = rest.subarray(start, start + length)
    this.#rest = rest.subarray(start + length)
    const payload = isMasked ? masked(body, rest.subarray(start - 4, start)) : body
    return { final: (first & 0x80) !== 0, opcode: first & 0x0f, masked: isMasked, payload }
  }
}
