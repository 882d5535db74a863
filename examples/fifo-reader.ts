/**
 * Reads lines from a FIFO that several writers open and close.
 *
 *     mkfifo /tmp/orders
 *     npx tsx examples/fifo-reader.ts /tmp/orders
 *     echo hello > /tmp/orders
 *
 * Node's `fs.createReadStream` blocks a thread of its pool until the first writer opens the FIFO, and ends with the last.
 */

import { closeSync, constants, fstatSync, openSync } from 'node:fs'

import { EV, EventBase, type Event } from '../index.js'
import { socket } from '../net.js'
import { main, onlyArgument, runUntilStopped } from './shared/command.js'

const USAGE = `
usage: fifo-reader.ts [--once] PATH

Prints each line that is written to the FIFO at PATH, until SIGINT or SIGTERM.
  --once  ends when the last writer has closed it
`

/** A line longer than this is printed in pieces. */
const MOST_LINE = 65_536

/** Splits bytes into lines. */
export class Lines {
  readonly #print: (line: string) => void
  /** The beginning of an incomplete line, as bytes, because a character may be incomplete too. */
  #begun: Buffer = Buffer.alloc(0)

  constructor(print: (line: string) => void) {
    this.#print = print
  }

  add(bytes: Uint8Array): void {
    let rest = Buffer.concat([this.#begun, bytes])
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      this.#print(rest.toString('utf8', 0, end))
      rest = rest.subarray(end + 1)
    }
    this.#begun = rest
    if (rest.length >= MOST_LINE) this.end()
  }

  /** The last line, without an end of line. */
  end(): void {
    if (this.#begun.length > 0) this.#print(this.#begun.toString('utf8'))
    this.#begun = Buffer.alloc(0)
  }
}

/** Opens a FIFO for reading without waiting for a writer. */
function open(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  if (fstatSync(fd).isFIFO()) return fd
  closeSync(fd)
  throw new Error(`${path} is not a FIFO`)
}

/** Reads a FIFO; with `once`, until its last writer closes it. */
class Reader {
  readonly #base: EventBase
  readonly #path: string
  readonly #lines = new Lines((line) => console.log(line))
  readonly #buffer = Buffer.alloc(65_536)
  readonly #once: boolean
  /** Why the reading has ended, if it has failed. */
  failure: Error | undefined
  #fd: number
  #event: Event

  constructor(base: EventBase, path: string, once: boolean) {
    this.#base = base
    this.#path = path
    this.#once = once
    this.#fd = open(path)
    this.#event = this.#watch()
  }

  #watch(): Event {
    return this.#base.newEvent(this.#fd, EV.READ | EV.PERSIST, () => this.#tryToRead()).add()
  }

  #tryToRead(): void {
    try {
      this.#read()
    } catch (error) {
      // For example ENOENT, if the FIFO was deleted, so that it cannot be opened again.
      this.failure = error as Error
      this.#base.loopBreak()
    }
  }

  #read(): void {
    const count = socket.read(this.#fd, this.#buffer)
    if (count > 0) this.#lines.add(this.#buffer.subarray(0, count))
    if (count !== 0) return
    this.#lines.end()
    if (this.#once) this.#base.loopBreak()
    else this.#reopen()
  }

  /**
   * After the last writer has closed it, a FIFO stays readable, and the loop would spin. Opened again, it is not readable
   * until the next writer. It is opened before the old descriptor is closed, so that no data is lost in between.
   */
  #reopen(): void {
    const old = this.#fd
    this.#fd = open(this.#path)
    this.#event.close()
    socket.close(old)
    this.#event = this.#watch()
  }

  close(): void {
    this.#lines.end()
    this.#event.close()
    socket.close(this.#fd)
  }
}

const options = { once: { type: 'boolean', default: false } } as const

await main(import.meta.url, USAGE, options, async ({ once }, positionals) => {
  const base = new EventBase()
  const reader = new Reader(base, onlyArgument('PATH', positionals), once)
  const stopped = runUntilStopped(base)
  console.error('reading')
  await stopped
  reader.close()
  if (reader.failure !== undefined) throw reader.failure
})
