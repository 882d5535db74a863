/** A queue of bytes. */

import { EventError } from '../../errors.js'
import { showAs } from '../../inspect.js'
import { checkBytes, checkInteger, outOfRange, wrongType } from '../../validate.js'
import { find, findLineEnd, LINE_ENDS, type LineEnd } from './search.js'

/** Data to write: bytes, which are referenced and not copied, or text, which is encoded as UTF-8. */
export type Writable = Uint8Array | string

/** Called when bytes were added or removed. */
export type ByteQueueListener = (added: number, removed: number) => void

const MOST = Number.MAX_SAFE_INTEGER
const EMPTY: Buffer = Buffer.alloc(0)

/** Checks data to write, and returns it as a Buffer of a fixed length on the same memory. */
export function toBuffer(name: string, data: Writable): Buffer {
  if (typeof data === 'string') return Buffer.from(data)
  if (typeof data !== 'object') {
    throw wrongType(name, 'of type string or an instance of Buffer or Uint8Array', data)
  }
  const { buffer, byteOffset, byteLength } = checkBytes(name, data)
  // Memory that was transferred has no bytes and cannot be viewed.
  if (byteLength === 0) return EMPTY
  // A view of a resizable buffer may change its length later.
  const isResizable = (buffer as { resizable?: boolean }).resizable === true
  return Buffer.isBuffer(data) && !isResizable ? data : Buffer.from(buffer, byteOffset, byteLength)
}

/** Copies bytes into memory that nothing else references. */
export function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}

/**
 * A queue of bytes (`evbuffer`). Bytes are added at the back and removed from the front. The queue holds chunks by
 * reference and copies only the bytes that the description of a method states.
 *
 * Bytes that were added must not be changed before they have left the queue. Bytes that were removed belong to the
 * caller: neither this queue nor another refers to their memory, so it may be changed or transferred to a worker. If
 * the memory of bytes that are still in the queue is transferred, these bytes are lost: the next call that reaches them
 * removes them and throws `ERR_OUT_OF_RANGE`; the other bytes stay.
 */
export class ByteQueue {
  /** The chunks from index `#first` on are in the queue. A chunk is empty only if its memory was transferred. */
  #chunks: Buffer[] = []
  #first = 0
  #length = 0
  #listener: ByteQueueListener | undefined

  /** The number of bytes (`evbuffer_get_length`). */
  get length(): number {
    return this.#length
  }

  /**
   * The chunks from front to back, which stay in the queue (`evbuffer_peek`). The array is a copy.
   *
   * @throws {EventError} `ERR_OUT_OF_RANGE` if the memory of a chunk was transferred
   */
  get chunks(): readonly Buffer[] {
    return [...this.#intactChunks()]
  }

  /**
   * Adds bytes at the back (`evbuffer_add`, `evbuffer_add_reference`).
   *
   * @param data bytes that are not changed until they have left the queue, or text
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, also for memory shared with other threads
   */
  append(data: Writable): this {
    const chunk = toBuffer('data', data)
    const added = chunk.length
    if (added === 0) return this
    const last = this.#length === 0 ? undefined : this.#chunks.at(-1)
    const isNext = last !== undefined && last.byteOffset + last.length === chunk.byteOffset
    if (isNext && last.length > 0 && last.buffer === chunk.buffer) {
      // Adjacent in memory.
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
   * Adds bytes at the front (`evbuffer_prepend`).
   *
   * @param data as for {@link append}
   * @throws {EventError} the same as {@link append}
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
   * Removes bytes and returns them as one Buffer (`evbuffer_remove`). Bytes of several chunks are copied into one; where
   * the cut is inside a chunk, the shorter part of it is copied. {@link shift} never copies.
   *
   * @param most the maximum number. Default: all
   * @returns up to `most` bytes; `undefined` if the queue is empty
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  read(most: number = this.#length): Buffer | undefined {
    const count = this.#checkCount(most)
    if (count === 0) return undefined
    this.#checkIntact(count)
    const piece = this.#take(count)
    this.#removed(count)
    return piece
  }

  /**
   * Removes the first chunk and returns it without copying; returns `undefined` if the queue is empty.
   *
   * @throws {EventError} `ERR_OUT_OF_RANGE` if its memory was transferred
   */
  shift(): Buffer | undefined {
    if (this.#length === 0) return undefined
    this.#checkIntact(1)
    const chunk = this.#pop()
    this.#removed(chunk.length)
    return chunk
  }

  /**
   * Returns the first bytes as one Buffer, and leaves them in the queue (`evbuffer_pullup`). Bytes of several chunks are
   * copied into one chunk, once.
   *
   * @param most the maximum number. Default: all
   * @returns the same as {@link read}
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  peek(most: number = this.#length): Buffer | undefined {
    const count = this.#checkCount(most)
    if (count === 0) return undefined
    this.#checkIntact(count)
    const chunk = this.#join(count)
    return chunk.length === count ? chunk : chunk.subarray(0, count)
  }

  /**
   * Discards the first bytes (`evbuffer_drain`).
   *
   * @param most the maximum number. Default: all
   * @returns the number of discarded bytes
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  drain(most: number = this.#length): number {
    const count = this.#checkCount(most)
    if (count === 0) return 0
    if (count < this.#length) {
      this.#checkIntact(count)
      this.#discard(count)
    }
    this.#removed(count)
    return count
  }

  /**
   * Removes bytes from this queue and adds them at the back of another (`evbuffer_add_buffer`,
   * `evbuffer_remove_buffer`). Whole chunks are not copied; where the cut is inside a chunk, the shorter part of it is.
   *
   * @param target another queue
   * @param most the maximum number. Default: all
   * @returns the number of moved bytes
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, also for the same queue
   */
  moveTo(target: ByteQueue, most: number = this.#length): number {
    if (!(target instanceof ByteQueue)) throw wrongType('target', 'an instance of ByteQueue', target)
    if (target === this) throw outOfRange('target', 'another queue', 'the same')
    const count = this.#checkCount(most)
    if (count === 0) return 0
    this.#checkIntact(count)
    const moved: Buffer[] = []
    for (let rest = count; rest > 0;) {
      const { length } = this.#chunks[this.#first] as Buffer
      moved.push(length > rest ? this.#cut(rest) : this.#pop())
      rest -= Math.min(length, rest)
    }
    this.#removed(count)
    for (const chunk of moved) target.append(chunk)
    return count
  }

  /**
   * Finds the first occurrence of some bytes (`evbuffer_search`).
   *
   * @param what the bytes, or text
   * @param from the position to begin at. Default the front
   * @returns the number of bytes before the occurrence; -1 if there is none
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, also for an empty `what`
   */
  indexOf(what: Writable, from = 0): number {
    const needle = toBuffer('what', what)
    if (needle.length === 0) throw outOfRange('what', 'one byte or more', 'none')
    return find(this.#intactChunks(), needle, checkInteger('from', from, 0, MOST))
  }

  /**
   * Removes a line and its end, and returns the line as {@link read} does (`evbuffer_readln`).
   *
   * @param end how a line ends. Default `'crlf'`: LF, with or without a CR before it
   * @returns the line without its end, which is empty between two adjacent ends; `undefined` if the queue contains no
   *   line end
   * @throws {EventError} `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  readLine(end: LineEnd = 'crlf'): Buffer | undefined {
    if (typeof end !== 'string') throw wrongType('end', 'of type string', end)
    if (!LINE_ENDS.includes(end)) throw outOfRange('end', `one of ${LINE_ENDS.join(', ')}`, end)
    const found = findLineEnd(this.#intactChunks(), end)
    if (found === undefined) return undefined
    const line = found.at === 0 ? Buffer.alloc(0) : this.#take(found.at)
    this.#discard(found.length)
    this.#removed(found.at + found.length)
    return line
  }

  /** The queue's own array, which user code must not receive. */
  #intactChunks(): readonly Buffer[] {
    if (this.#first > 0) this.#compact()
    this.#checkIntact(this.#length)
    return this.#chunks
  }

  #checkCount(most: number): number {
    return Math.min(checkInteger('most', most, 0, MOST), this.#length)
  }

  /** Throws if any of the first `count` bytes are lost, and removes all lost bytes from the queue. */
  #checkIntact(count: number): void {
    let seen = 0
    for (let index = this.#first; seen < count; index += 1) {
      const length = this.#chunks[index]?.length ?? 0
      if (length === 0) this.#removeLost()
      seen += length
    }
  }

  #removeLost(): never {
    const before = this.#length
    this.#chunks = this.#chunks.slice(this.#first).filter((chunk) => chunk.length > 0)
    this.#first = 0
    this.#length = this.#chunks.reduce((sum, { length }) => sum + length, 0)
    this.#listener?.(0, before - this.#length)
    throw new EventError('ERR_OUT_OF_RANGE', 'The memory of bytes in the queue was transferred')
  }

  /** Removes the first chunk. */
  #pop(): Buffer {
    const chunk = this.#chunks[this.#first] as Buffer
    // The array does not keep the chunk's memory alive.
    this.#chunks[this.#first] = EMPTY
    this.#first += 1
    return chunk
  }

  /** Removes the first `count` bytes of the first chunk, which is longer. The two parts share no memory afterwards. */
  #cut(count: number): Buffer {
    const chunk = this.#chunks[this.#first] as Buffer
    const front = chunk.subarray(0, count)
    const back = chunk.subarray(count)
    const copiesFront = front.length <= back.length
    this.#chunks[this.#first] = copiesFront ? back : copyOf(back)
    return copiesFront ? copyOf(front) : front
  }

  /** Removes the first `count` bytes, as one Buffer. */
  #take(count: number): Buffer {
    return this.#join(count).length === count ? this.#pop() : this.#cut(count)
  }

  /** Removes the first `count` bytes, which are not needed. */
  #discard(count: number): void {
    for (let rest = count; rest > 0;) {
      const chunk = this.#chunks[this.#first] as Buffer
      if (chunk.length > rest) this.#chunks[this.#first] = chunk.subarray(rest)
      else this.#pop()
      rest -= Math.min(chunk.length, rest)
    }
  }

  /** Records that the first `count` bytes were removed from the chunks. */
  #removed(count: number): void {
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

  /** Copies chunks together until the first one has `count` bytes or more, and returns it. */
  #join(count: number): Buffer {
    const first = this.#chunks[this.#first] as Buffer
    if (first.length >= count) return first
    const whole = Buffer.allocUnsafeSlow(count)
    let filled = 0
    let index = this.#first
    while (filled < count) {
      const chunk = this.#chunks[index] as Buffer
      const taken = Math.min(chunk.length, count - filled)
      try {
        whole.set(taken < chunk.length ? chunk.subarray(0, taken) : chunk, filled)
      } catch {
        // V8 of Node 20 and 22 may return a length from before the transfer, in a long loop that it optimizes meanwhile.
        this.#removeLost()
      }
      filled += taken
      if (taken < chunk.length) this.#chunks[index] = chunk.subarray(taken)
      else index += 1
    }
    this.#chunks.splice(this.#first, index - this.#first, whole)
    return whole
  }

  /**
   * The first chunks, which stay in the queue.
   *
   * @internal
   * @throws {EventError} `ERR_OUT_OF_RANGE` if the memory of one of them was transferred
   */
  static front(queue: ByteQueue, most: number): Buffer[] {
    const chunks = queue.#chunks.slice(queue.#first, queue.#first + most)
    if (chunks.some(({ length }) => length === 0)) queue.#removeLost()
    return chunks
  }

  /**
   * Sets the listener, which is called after each change.
   *
   * @internal
   */
  static listen(queue: ByteQueue, listener: ByteQueueListener): void {
    queue.#listener = listener
  }

  static {
    showAs(ByteQueue, 'ByteQueue', (queue) => ({
      length: queue.#length,
      chunks: queue.#chunks.length - queue.#first,
    }))
  }
}
