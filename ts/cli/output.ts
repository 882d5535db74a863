/**
 * Messages on stdout and stderr, which are possibly not read: a pipe without a reader, a terminal that was stopped with
 * Ctrl+S, a dead connection to it. Messages that a reader does not take in time are dropped and counted; nothing waits
 * for a reader.
 *
 * Node writes to a file synchronously, which does not block. It queues the bytes that a pipe or a socket does not
 * accept, without a bound, and ends only when the queue is empty. To a terminal it writes synchronously and blocks. So
 * a pipe's queue is bounded here, and a terminal is opened a second time, without blocking, for this process alone.
 */

import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { isatty } from 'node:tty'

/** Milliseconds that a slow reader has for the last messages. */
const PATIENCE = 500

/** The most bytes that wait for a reader. */
const LIMIT = 64 * 1024

/** Milliseconds between two attempts to write to a terminal that accepts no byte. */
const RETRY = 20

/** The part of a terminal that is used here. */
export interface Terminal {
  readonly columns?: number
  readonly rows?: number
  /** Returns whether the text was written, or dropped as a whole. */
  write(text: string): boolean
}

/** Where bytes go. */
interface Sink {
  /** How many bytes wait to be written. */
  readonly pending: number
  write(text: string): void
}

/** A terminal through a descriptor that does not block. */
class TerminalSink implements Sink {
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
        // The terminal no longer exists.
        this.#rest = Buffer.alloc(0)
      }
    }
  }
}

/**
 * Opens the terminal behind a descriptor again. Only Linux makes a new description of it, which alone does not block
 * (proc_pid_fd(5)); elsewhere `/dev/fd` duplicates the descriptor, and the blocking one is used.
 */
function reopen(fd: number): number | undefined {
  if (process.platform !== 'linux' || !isatty(fd)) return undefined
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    // Another user's terminal, after su(1) for instance.
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

/** Writes whole messages, and drops those for which there is no room. */
export class Output implements Terminal {
  readonly #stream: NodeJS.WriteStream & { fd: number }
  readonly #terminal: TerminalSink | undefined
  readonly #sink: Sink
  #dropped = 0
  /** The message for a number of dropped ones. */
  describeDropped: (count: number) => string = (count) => `${count} messages were dropped\n`

  constructor(stream: NodeJS.WriteStream & { fd: number }) {
    this.#stream = stream
    const fd = reopen(stream.fd)
    if (fd !== undefined) this.#terminal = new TerminalSink(fd)
    this.#sink = this.#terminal ?? new StreamSink(stream)
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

  /** Writes a message, unless {@link LIMIT} bytes are waiting. The number of dropped ones precedes the next. */
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
    this.#terminal?.close()
  }
}

/** Waits until nothing is pending, for half a second at most. */
export async function settled(pending: () => number): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (pending() > 0 && performance.now() < deadline) {
    // Each attempt follows the one before.
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => {
      setTimeout(resolve, RETRY)
    })
  }
}
