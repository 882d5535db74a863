/**
 * Reads lines from a FIFO, whoever writes them: writers come, go and come again.
 *
 *     mkfifo /tmp/orders
 *     npx tsx examples/fifo-reader.ts /tmp/orders
 *     echo hello > /tmp/orders
 *
 * Node's own `fs.createReadStream` blocks a thread of its pool until the first writer comes, and ends with the last.
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

/** Bytes as lines, however they arrive. */
export class Lines {
  readonly #print: (line: string) => void
  /** What has come of a line that has not ended. As bytes: a character may be torn, too. */
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

  /** What is left has no end of line. */
  end(): void {
    if (this.#begun.length > 0) this.#print(this.#begun.toString('utf8'))
    this.#begun = Buffer.alloc(0)
  }
}

/** Opens a FIFO to read; does not wait for a writer. */
function open(path: string): number {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  if (fstatSync(fd).isFIFO()) return fd
  closeSync(fd)
  throw new Error(`${path} is no FIFO`)
}

/** Reads a FIFO until `stop` says that its end is the end. */
class Reader {
  readonly #base: EventBase
  readonly #path: string
  readonly #lines = new Lines((line) => console.log(line))
  readonly #buffer = Buffer.alloc(65_536)
  readonly #once: boolean
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
    return this.#base.newEvent(this.#fd, EV.READ | EV.PERSIST, () => this.#read()).add()
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
   * After its last writer a FIFO stays "readable", which would make the loop spin; opened anew it is quiet until the
   * next one comes. It is opened before it is closed: what a writer leaves in between would be lost otherwise.
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
})
