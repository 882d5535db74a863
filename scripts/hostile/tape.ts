// Bytes that can be recognized where they arrive.
import { Random } from './random.js'

/** A prime, so that a block that is repeated, lost or moved changes the sequence. */
const LENGTH = 65_521

/** Random bytes from 0x80 on: streams that are tampered with carry only bytes below. */
const PATTERN: Buffer = (() => {
  const random = new Random(LENGTH)
  return Buffer.from(Uint8Array.from({ length: LENGTH }, () => 0x80 | random.next()))
})()

/** The bytes that are written to everything that is tampered with: zeros come from memory that was resized. */
const TAMPERED: Uint8Array = new Uint8Array(256)
for (const byte of [0x00, 0x0a, 0x0d, 0x41]) TAMPERED[byte] = 1

/** Returns a byte that no hostile operation has written, or `undefined` if there is none. */
export function foreignByte(bytes: Uint8Array): number | undefined {
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index] as number
    if (TAMPERED[byte] === 0) return byte
  }
  return undefined
}

/** A sequence of bytes of its own, of which any part can be made and recognized. */
export class Tape {
  readonly #shift: number
  /** The number of bytes that were accepted for sending. */
  written = 0
  /** The number of bytes that have arrived. */
  read = 0
  /** Whether the writer has ended its side after the last byte. */
  ended = false

  constructor(random: Random) {
    this.#shift = random.below(LENGTH)
  }

  /** The next bytes to write, in memory of their own. */
  next(length: number): Buffer {
    return this.#part(this.written, length)
  }

  /** Checks bytes that have arrived. Returns the problem, or `undefined`. */
  arrived(bytes: Uint8Array): string | undefined {
    const expected = this.#part(this.read, bytes.length)
    const start = this.read
    this.read += bytes.length
    if (this.read > this.written) return `${this.read} bytes arrived of ${this.written} that were written`
    if (expected.equals(bytes)) return undefined
    const at = expected.findIndex((byte, index) => byte !== bytes[index])
    return `byte ${start + at} is ${bytes[at]} in place of ${expected[at]}, in ${bytes.length} bytes from ${start}`
  }

  #part(from: number, length: number): Buffer {
    const part = Buffer.allocUnsafeSlow(length)
    let filled = 0
    let at = (from + this.#shift) % LENGTH
    while (filled < length) {
      filled += PATTERN.copy(part, filled, at, Math.min(LENGTH, at + length - filled))
      at = 0
    }
    return part
  }
}
