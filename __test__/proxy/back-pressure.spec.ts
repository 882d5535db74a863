import type { Socket } from 'node:net'

import { describe, expect, test } from 'vitest'

import type { SystemError } from '../../index.js'
import { socket } from '../../net.js'
import { deferred, LOOPBACK, pattern, serve, sleep, until } from '../net/support.js'
import { largestBuffer } from '../../scripts/lib/system.mjs'
import { kinds, rawClient, type Proxied } from './support.js'

const MEBIBYTE = 2 ** 20

/** The most bytes that a relay holds of one direction: a pipe of the largest size, and a buffer. */
const HELD = 2 * MEBIBYTE

/** The most bytes between a sender and a receiver: in the sockets of two connections, and in a relay. */
const ROOM = 2 * (largestBuffer('tcp_rmem') + largestBuffer('tcp_wmem')) + HELD

/** Whether a connect has completed. */
function connected(fd: number): boolean {
  try {
    socket.peer(fd)
    return true
  } catch {
    return false
  }
}

/** Writes until no byte is accepted for a while; returns the bytes written, and the most that the relay held. */
async function fill(fd: number, proxied: Proxied, most: number): Promise<{ sent: number; held: number }> {
  const piece = pattern(65_536, 1)
  let [sent, held, still] = [0, 0, 0]
  while (still < 100 && sent <= most) {
    // The position in the stream determines the bytes, also after a short write.
    const taken = socket.write(fd, piece, sent % piece.length)
    held = Math.max(held, proxied.held?.() ?? 0)
    if (taken > 0) {
      sent += taken
      still = 0
      continue
    }
    still += 1
    await sleep(2)
  }
  return { sent, held }
}

describe.each(kinds)('$name', ({ start }) => {
  test('a server that never reads stops its client, and memory stays bounded', async () => {
    const accepted = deferred<Socket>()
    const proxied = await start(await serve((peer) => accepted.resolve(peer.pause())))
    const client = rawClient(proxied.port)
    await until(() => connected(client), 'the connection')
    const before = process.memoryUsage.rss()
    const { sent, held } = await fill(client, proxied, ROOM)
    expect(sent).toBeLessThan(ROOM)
    expect(held).toBeLessThanOrEqual(HELD)
    // The buffers of sockets are memory of the kernel. The margin is for the rest of the process.
    expect(process.memoryUsage.rss() - before).toBeLessThan(HELD + 48 * MEBIBYTE)

    // Nothing was lost: once the server reads, every byte arrives.
    const server = await accepted.promise
    const piece = pattern(65_536, 1)
    let received = 0
    let wrong = 0
    server.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length;) {
        const from = (received + at) % piece.length
        const length = Math.min(piece.length - from, chunk.length - at)
        if (!chunk.subarray(at, at + length).equals(piece.subarray(from, from + length))) wrong += 1
        at += length
      }
      received += chunk.length
    })
    server.resume()
    await until(() => received >= sent, 'the rest')
    expect(wrong).toBe(0)
    socket.shutdown(client, 'write')
    await until(() => server.readableEnded, 'the end')
    expect(received).toBe(sent)
  })

  test('a client that never reads stops its server', async () => {
    const accepted = deferred<Socket>()
    const proxied = await start(await serve(accepted.resolve))
    const client = socket.connect({ host: LOOPBACK, port: proxied.port })
    const server = await accepted.promise
    const piece = pattern(65_536, 1)
    // The next write starts in the callback of the last, so only bytes that the kernel accepted are counted.
    let [sent, still, seen, open] = [0, 0, -1, true]
    server.on('close', () => (open = false))
    const send = (): void => {
      if (open) server.write(piece, (error) => error || ((sent += piece.length), send()))
    }
    send()
    await until(() => {
      still = sent === seen ? still + 1 : 0
      seen = sent
      return still === 100 || sent > ROOM
    }, 'an end of the sending')
    expect(sent).toBeLessThan(ROOM)
    expect(proxied.held?.() ?? 0).toBeLessThanOrEqual(HELD)
    // The client closes without having read, and the server gets an error.
    const failure = new Promise<SystemError>((resolve) => {
      server.once('error', resolve as (error: Error) => void)
    })
    socket.setOption(client, 'linger', 0)
    socket.close(client)
    expect(['ECONNRESET', 'EPIPE']).toContain((await failure).code)
  })
})
