/** Bytes in a row, without copies. */

import { checkInteger, outOfRange, wrongType } from '../../validate.js'
import { find, findLineEnd, LINE_ENDS, type LineEnd } from './search.js'

/** What can be written: bytes, which are referred to and not copied, or a text, as UTF-8. */
export type Writable = Uint8Array | string

/** Called when bytes came or went. */
export type ByteQueueListener = (added: number, removed: number) => void

const MOST = Number.MAX_SAFE_INTEGER

/** Checks what is to be written, and has it as a view on the same memory. */
export function toBuffer(name: string, data: Writable): Buffer {
  if (typeof data === 'string') return Buffer.from(data)
  if (!(data instanceof Uint8Array)) {
    throw wrongType(name, 'of type string or an instance of Buffer or Uint8Array', data)
  }
  if (data.buffer instanceof SharedArrayBuffer) {
    throw wrongType(name, 'not shared with other threads', data.buffer)
  }
  if (Buffer.isBuffer(data)) return data
  return Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)
}

/**
 * Bytes in a row: put in behind, taken out in front (`evbuffer`). A row of chunks, which are referred to and never
 * copied, unless one piece is asked for that lies in several. What was put in must not be changed by its owner until
 * it has left; what is taken out is the taker's.
 */
export class ByteQueue {
  /** Those from `#first` on are there. */
  #chunks: Buffer[] = []
  #first = 0
  #length = 0
  #listener: ByteQueueListener | undefined

  /** How many bytes there are (`evbuffer_get_length`). */
  get length(): number {
    return this.#length
  }

  /** The chunks, front to back, as they lie in memory (`evbuffer_peek`). */
  get chunks(): readonly Buffer[] {
    if (this.#first > 0) this.#compact()
    return this.#chunks
  }

  /**
   * Puts bytes behind all others (`evbuffer_add`, `evbuffer_add_reference`).
   *
   * @param data bytes that are not changed until they have left the queue, or a text
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, also for memory shared with other threads
   */
  append(data: Writable): this {
    const chunk = toBuffer('data', data)
    const added = chunk.length
    if (added === 0) return this
    const last = this.#length === 0 ? undefined : this.#chunks.at(-1)
    if (last?.buffer === chunk.buffer && last.byteOffset + last.length === chunk.byteOffset) {
      // It goes on where the one before ends.
      const joined = Buffer.from(chunk.buffer as ArrayBuffer, last.byteOffset, last.length + added)
      this.#chunks[this.#chunks.length - 1] = joined
    } else {
      this.#chunks.push(chunk)
    }
    this.#length += added
    this.#listener?.(added, 0)
    return this
  }

  /**
   * Puts bytes before all others (`evbuffer_prepend`).
   *
   * @param data as for {@link append}
   * @throws {EventError} as {@link append}
   */
  prepend(data: Writable): this {
    const chunk = toBuffer('data', data)
    if (chunk.length === 0) return this
    if (this.#first > 0) {
      this.#first -= 1
      this.#chunks[this.#first] = chunk
    } else {
      this.#chunks.unshift(chunk)
    }
    this.#length += chunk.length
    this.#listener?.(chunk.length, 0)
    return this
  }

  /**
   * Takes bytes out as one piece (`evbuffer_remove`). Copies only if they lie in several chunks; {@link shift} never
   * does.
   *
   * @param most how many at most. Default all
   * @returns the bytes, as many as there are up to `most`; `undefined` when there are none
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  read(most?: number): Buffer | undefined {
    const piece = this.peek(most)
    if (piece !== undefined) this.#remove(piece.length)
    return piece
  }

  /** Takes out the first chunk as it is, whatever its length; `undefined` when there is none. */
  shift(): Buffer | undefined {
    const chunk = this.#chunks[this.#first]
    if (chunk !== undefined) this.#remove(chunk.length)
    return chunk
  }

  /**
   * Has a look at the first bytes, as one piece (`evbuffer_pullup`). If they lie in several chunks they are copied
   * into one, once.
   *
   * @param most how many at most. Default all
   * @returns as {@link read}
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  peek(most: number = this.#length): Buffer | undefined {
    const count = Math.min(checkInteger('most', most, 0, MOST), this.#length)
    const chunk = this.#chunks[this.#first]
    if (chunk === undefined || count === 0) return undefined
    if (chunk.length === count) return chunk
    if (chunk.length > count) return chunk.subarray(0, count)
    return this.#join(count)
  }

  /**
   * Drops the first bytes (`evbuffer_drain`).
   *
   * @param most how many at most. Default all
   * @returns how many there were to drop
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  drain(most: number = this.#length): number {
    const count = Math.min(checkInteger('most', most, 0, MOST), this.#length)
    this.#remove(count)
    return count
  }

  /**
   * Takes bytes out of this queue and puts them behind those of another, without copying (`evbuffer_add_buffer`,
   * `evbuffer_remove_buffer`).
   *
   * @param target another queue
   * @param most how many at most. Default all
   * @returns how many were moved
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, also for the same queue
   */
  moveTo(target: ByteQueue, most: number = this.#length): number {
    if (!(target instanceof ByteQueue)) throw wrongType('target', 'an instance of ByteQueue', target)
    if (target === this) throw outOfRange('target', 'another queue', 'the same')
    const count = Math.min(checkInteger('most', most, 0, MOST), this.#length)
    const moved: Buffer[] = []
    let rest = count
    for (let index = this.#first; rest > 0; index += 1) {
      const chunk = this.#chunks[index] as Buffer
      moved.push(chunk.length > rest ? chunk.subarray(0, rest) : chunk)
      rest -= Math.min(chunk.length, rest)
    }
    this.#remove(count)
    for (const chunk of moved) target.append(chunk)
    return count
  }

  /**
   * Where bytes stand first (`evbuffer_search`).
   *
   * @param what the bytes, or a text
   * @param from where to begin. Default the front
   * @returns how many bytes there are before it, or -1
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, also for nothing to look for
   */
  indexOf(what: Writable, from = 0): number {
    const needle = toBuffer('what', what)
    if (needle.length === 0) throw outOfRange('what', 'one byte or more', 'none')
    return find(this.chunks, needle, checkInteger('from', from, 0, MOST))
  }

  /**
   * Takes out a line (`evbuffer_readln`).
   *
   * @param end how it ends. Default `'crlf'`: LF, with or without a CR before it
   * @returns the line without its end, empty where two ends follow each other; `undefined` while there is no end
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  readLine(end: LineEnd = 'crlf'): Buffer | undefined {
    if (typeof end !== 'string') throw wrongType('end', 'of type string', end)
    if (!LINE_ENDS.includes(end)) throw outOfRange('end', `one of ${LINE_ENDS.join(', ')}`, end)
    const found = findLineEnd(this.chunks, end)
    if (found === undefined) return undefined
    const line = this.peek(found.at) ?? Buffer.alloc(0)
    this.#remove(found.at + found.length)
    return line
  }

  #remove(count: number): void {
    if (count === 0) return
    let rest = count
    while (rest > 0) {
      const chunk = this.#chunks[this.#first]
      // A chunk whose memory was taken away is shorter than it was.
      if (chunk === undefined) break
      if (chunk.length > rest) {
        this.#chunks[this.#first] = chunk.subarray(rest)
        break
      }
      rest -= chunk.length
      // The chunk's memory is not held any longer than its bytes are.
      this.#chunks[this.#first] = EMPTY
      this.#first += 1
    }
    this.#length -= count
    if (this.#length === 0) {
      this.#chunks.length = 0
      this.#first = 0
    } else if (this.#first > 64 && this.#first * 2 > this.#chunks.length) {
      this.#compact()
    }
    this.#listener?.(0, count)
  }

  #compact(): void {
    this.#chunks.splice(0, this.#first)
    this.#first = 0
  }

  /** Makes the first `count` bytes one chunk. */
  #join(count: number): Buffer {
    const whole = Buffer.allocUnsafe(count)
    let filled = 0
    let index = this.#first
    while (filled < count) {
      const chunk = this.#chunks[index] as Buffer
      const taken = Math.min(chunk.length, count - filled)
      whole.set(taken < chunk.length ? chunk.subarray(0, taken) : chunk, filled)
      filled += taken
      if (taken < chunk.length) this.#chunks[index] = chunk.subarray(taken)
      else index += 1
    }
    this.#chunks.splice(this.#first, index - this.#first, whole)
    return whole
  }

  /**
   * Lets the owner of a queue hear of every change.
   *
   * @internal
   */
  static listen(queue: ByteQueue, listener: ByteQueueListener): void {
    queue.#listener = listener
  }
}

const EMPTY: Buffer = Buffer.alloc(0)
