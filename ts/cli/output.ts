/**
 * Messages on stdout and stderr, whose reader may not read: the stream may be a pipe without a reader, a terminal that
 * was stopped with Ctrl+S, or a terminal whose connection is dead. Messages that a reader does not read in time are
 * dropped and counted; nothing waits for a reader.
 *
 * Node writes to a file synchronously, which does not block. It queues the bytes that a pipe or a socket does not
 * accept, without a bound, and ends only when the queue is empty. It writes to a terminal synchronously, which blocks.
 * A pipe blocks too once another process that has the same open file description makes it blocking: libuv does so for
 * the standard streams that a child process inherits. So this file limits the queue of a socket, and opens a terminal
 * or a pipe a second time in non-blocking mode, which affects only this process.
 */

import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs'
import { isatty } from 'node:tty'

/** The time in milliseconds that a slow reader has to read the last messages. */
const PATIENCE = 500

/** The maximum number of bytes that wait for a reader. */
const LIMIT = 64 * 1024

/** Milliseconds between two attempts to write to a terminal or a pipe that accepts no byte. */
const RETRY = 20

/** The part of a terminal that is used here. */
export interface Terminal {
  readonly columns?: number
  readonly rows?: number
  /** Returns whether the text was written, or dropped as a whole. */
  write(text: string): boolean
}

/** A destination of bytes. */
interface Sink {
  /** The number of bytes that wait to be written. */
  readonly pending: number
  write(text: string): void
}

/** A terminal or a pipe that is written through a non-blocking descriptor. */
class ReopenedSink implements Sink {
  readonly #fd: number
  #rest: Buffer = Buffer.alloc(0)
  #timer: NodeJS.Timeout | undefined

  constructor(fd: number) {
    this.#fd = fd
  }

  get pending(): number {
    return this.#rest.length
  }

  write(text: string): void {
    this.#rest = Buffer.concat([this.#rest, Buffer.from(text)])
    this.#flush()
  }

  close(): void {
    clearTimeout(this.#timer)
    closeSync(this.#fd)
  }

  #flush(): void {
    clearTimeout(this.#timer)
    try {
      while (this.#rest.length > 0) this.#rest = this.#rest.subarray(writeSync(this.#fd, this.#rest))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') {
        this.#timer = setTimeout(() => this.#flush(), RETRY).unref()
      } else {
        // The terminal no longer exists, or the pipe has no reader.
        this.#rest = Buffer.alloc(0)
      }
    }
  }
}

/**
 * Opens the terminal or the pipe of a descriptor again. Linux makes a new open file description, and only that one is
 * non-blocking (proc_pid_fd(5)). On other systems `/dev/fd` duplicates the descriptor, so the stream of Node is used.
 */
function reopen(fd: number): number | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    if (!isatty(fd) && !fstatSync(fd).isFIFO()) return undefined
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    // The terminal belongs to another user, for example after su(1), or the pipe has no reader.
    return undefined
  }
}

/** A stream of the process, without its unbounded queue. */
class StreamSink implements Sink {
  readonly #stream: NodeJS.WriteStream

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  get pending(): number {
    return this.#stream.writableLength
  }

  write(text: string): void {
    this.#stream.write(text)
  }
}

/** Writes whole messages, and drops messages that exceed the limit. */
export class Output implements Terminal {
  readonly #stream: NodeJS.WriteStream & { fd: number }
  readonly #reopened: ReopenedSink | undefined
  readonly #sink: Sink
  #dropped = 0
  /** Returns the message that reports a number of dropped messages. */
  describeDropped: (count: number) => string = (count) => `${count} messages were dropped\n`

  constructor(stream: NodeJS.WriteStream & { fd: number }) {
    this.#stream = stream
    const fd = reopen(stream.fd)
    if (fd !== undefined) this.#reopened = new ReopenedSink(fd)
    this.#sink = this.#reopened ?? new StreamSink(stream)
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY
  }

  get columns(): number {
    return this.#stream.columns
  }

  get rows(): number {
    return this.#stream.rows
  }

  /** Calls a function whenever the size of the terminal has changed. */
  onResize(listener: () => void): void {
    this.#stream.on('resize', listener)
  }

  /**
   * Writes a message, or drops it if bytes are waiting and they would exceed {@link LIMIT}. The number of dropped
   * messages precedes the next message.
   */
  write(text: string): boolean {
    const all = this.#dropped > 0 ? this.describeDropped(this.#dropped) + text : text
    if (this.#sink.pending > 0 && this.#sink.pending + all.length > LIMIT) {
      this.#dropped += 1
      return false
    }
    this.#dropped = 0
    this.#sink.write(all)
    return true
  }

  /** Waits up to half a second for a slow reader to take the pending messages, and drops the rest. */
  async close(): Promise<void> {
    await settled(() => this.#sink.pending)
    this.#reopened?.close()
  }
}

/** Waits until nothing is pending, for half a second at most. */
export async function settled(pending: () => number): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (pending() > 0 && performance.now() < deadline) {
    // Each check follows the previous one. oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => {
      setTimeout(resolve, RETRY)
    })
  }
}
