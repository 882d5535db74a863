/**
 * A UDP echo server that moves many datagrams in each system call.
 *
 *     npx tsx examples/udp-echo.ts --listen 127.0.0.1:7000
 *     nc -u 127.0.0.1 7000
 */

import { EV, EventBase } from '../index.js'
import { DatagramBatch, socket } from '../net.js'
import { formatAddress, main, parseCount, parseHostAndPort, runUntilStopped } from './shared/command.js'

const USAGE = `
usage: udp-echo.ts [--listen HOST:PORT] [--batch COUNT] [--size BYTES] [--buffer BYTES]

Sends back the datagrams it receives, until SIGINT or SIGTERM, and then prints their number.
  --listen HOST:PORT  where to receive (default 127.0.0.1:0, any free port)
  --batch COUNT       datagrams in a system call, 1 to 64 (default 16)
  --size BYTES        the largest datagram that is sent back (default 2048)
  --buffer BYTES      size of the system's buffers; the system may limit it (default 1048576)
`

const options = {
  listen: { type: 'string', default: '127.0.0.1:0' },
  batch: { type: 'string', default: '16' },
  size: { type: 'string', default: '2048' },
  buffer: { type: 'string', default: '1048576' },
} as const

/** Receives a batch, sends it back, and then receives the next one. */
export class Echo {
  /** Counters of datagrams. */
  readonly counts = { received: 0, batches: 0, echoed: 0, truncated: 0, failed: 0 }
  readonly #fd: number
  readonly #batch: DatagramBatch
  /** The first datagram of the batch that is not sent yet. */
  #next = 0

  constructor(fd: number, batch: DatagramBatch) {
    this.#fd = fd
    this.#batch = batch
  }

  /** Sends and receives until a call would block. Returns `false` if it has to wait until the socket is writable. */
  step(): boolean {
    if (!this.#send()) return false
    let count: number
    try {
      count = socket.receiveMany(this.#fd, this.#batch)
    } catch {
      // An error that an earlier datagram caused; the next call continues.
      this.counts.failed += 1
      return true
    }
    this.#next = 0
    if (count < 0) return true
    this.counts.received += count
    this.counts.batches += 1
    return this.#send()
  }

  #send(): boolean {
    const batch = this.#batch
    while (this.#next < batch.count) {
      // A truncated datagram is not echoed.
      if (batch.truncated(this.#next)) {
        this.counts.truncated += 1
        this.#next += 1
        continue
      }
      let end = this.#next + 1
      while (end < batch.count && !batch.truncated(end)) end += 1
      try {
        const sent = socket.sendMany(this.#fd, batch, this.#next, end)
        if (sent < 0) return false
        this.counts.echoed += sent
        this.#next += sent
      } catch {
        // This datagram cannot be sent, for example because of a firewall. The others can.
        this.counts.failed += 1
        this.#next += 1
      }
    }
    return true
  }
}

await main(import.meta.url, USAGE, options, async (values) => {
  const slots = parseCount('--batch', values.batch, 1, 64)
  const size = parseCount('--size', values.size, 1, 65_535)
  const buffer = parseCount('--buffer', values.buffer, 1, 0x3fff_ffff)
  const fd = socket.bindDatagram(parseHostAndPort('--listen', values.listen))
  socket.setOption(fd, 'receiveBuffer', buffer)
  socket.setOption(fd, 'sendBuffer', buffer)
  const base = new EventBase()
  const echo = new Echo(fd, new DatagramBatch({ slots, size }))

  const writable = base.newEvent(fd, EV.WRITE, () => step())
  const readable = base.newEvent(fd, EV.READ | EV.PERSIST, () => step())
  const step = (): void => {
    if (echo.step()) {
      readable.add()
    } else {
      readable.del()
      writable.add()
    }
  }
  readable.add()
  const stopped = runUntilStopped(base)
  console.log('receiving at', formatAddress(socket.address(fd)))
  await stopped
  socket.close(fd)
  console.log(JSON.stringify(echo.counts))
})
