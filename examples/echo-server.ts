/**
 * An echo server on raw descriptors with back-pressure: it does not read from a client that does not read.
 *
 *     npx tsx examples/echo-server.ts --listen 127.0.0.1:7000
 *     nc 127.0.0.1 7000
 */

import { EV, EventBase, type Event } from '../index.js'
import { listen, socket } from '../net.js'
import { formatAddress, main, parseTarget, runUntilStopped } from './shared/command.js'

const USAGE = `
usage: echo-server.ts [--listen HOST:PORT | --listen unix:PATH]

Sends back what it receives, until SIGINT or SIGTERM.
  --listen ADDRESS  where to listen (default 127.0.0.1:0, any free port)
`

/** One client. */
class Connection {
  readonly #fd: number
  readonly #buffer = Buffer.alloc(16_384)
  readonly #readable: Event
  readonly #writable: Event
  /** The part of the buffer that has not been sent back. */
  #from = 0
  #to = 0

  constructor(base: EventBase, fd: number) {
    this.#fd = fd
    this.#readable = base.newEvent(fd, EV.READ | EV.PERSIST, () => this.#guard(() => this.#read()))
    this.#writable = base.newEvent(fd, EV.WRITE | EV.PERSIST, () => this.#guard(() => this.#write()))
    this.#readable.add()
  }

  /** A failure, such as a reset, ends this client only. */
  #guard(step: () => void): void {
    try {
      step()
    } catch (error) {
      console.error((error as Error).message)
      this.#close()
    }
  }

  #read(): void {
    const count = socket.read(this.#fd, this.#buffer)
    if (count < 0) return
    if (count === 0) {
      this.#close()
      return
    }
    ;[this.#from, this.#to] = [0, count]
    this.#write()
  }

  #write(): void {
    const taken = socket.write(this.#fd, this.#buffer, this.#from, this.#to - this.#from)
    this.#from += Math.max(taken, 0)
    if (this.#from < this.#to) {
      // The client is slow: it is not read until it has accepted these bytes.
      this.#readable.del()
      this.#writable.add()
    } else {
      this.#writable.del()
      this.#readable.add()
    }
  }

  #close(): void {
    this.#readable.close()
    this.#writable.close()
    socket.close(this.#fd)
  }
}

await main(import.meta.url, USAGE, { listen: { type: 'string', default: '127.0.0.1:0' } }, async (values) => {
  const base = new EventBase()
  const target = parseTarget('--listen', values.listen)
  const listener = listen(base, target, (fd) => void new Connection(base, fd))
  const stopped = runUntilStopped(base)
  console.log('listening at', formatAddress(listener.address))
  await stopped
})
