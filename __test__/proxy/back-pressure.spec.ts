import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'

import { describe, expect, test } from 'vitest'

import type { SystemError } from '../../index.js'
import { socket } from '../../net.js'
import { deferred, LOOPBACK, pattern, serve, sleep, until } from '../net/support.js'
import { kinds, rawClient, type Proxied } from './support.js'

const MEBIBYTE = 2 ** 20

/** The most a relay may keep of one direction: a pipe of the largest size that is allowed, and a buffer. */
const HELD = 2 * MEBIBYTE

/** The most this system lets one TCP socket buffer, to read or to write; elsewhere than on Linux, more than enough. */
function largest(name: 'tcp_rmem' | 'tcp_wmem'): number {
  if (process.platform !== 'linux') return 32 * MEBIBYTE
  return Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'latin1').trim().split(/\s+/)[2])
}

/** The bytes that the sockets of two connections can hold between a sender and a receiver, with what a relay may hold. */
const ROOM = 2 * (largest('tcp_rmem') + largest('tcp_wmem')) + HELD

/** Whether a connect is done. */
function connected(fd: number): boolean {
  try {
    socket.peer(fd)
    return true
  } catch {
    return false
  }
}

/** Writes to a descriptor until nothing has been taken for a while; how many bytes were, and the most held meanwhile. */
async function fill(fd: number, proxied: Proxied, most: number): Promise<{ sent: number; held: number }> {
  const piece = pattern(65_536, 1)
  let [sent, held, still] = [0, 0, 0]
  while (still < 100 && sent <= most) {
    // The position in the stream decides what is sent, however little was taken before.
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
  test('a server that accepts and never reads stops its client, and nothing grows without bound', async () => {
    const accepted = deferred<Socket>()
    const proxied = await start(await serve((peer) => accepted.resolve(peer.pause())))
    const client = rawClient(proxied.port)
    await until(() => connected(client), 'the connection')
    const before = process.memoryUsage.rss()
    const { sent, held } = await fill(client, proxied, ROOM)
    expect(sent).toBeLessThan(ROOM)
    expect(held).toBeLessThanOrEqual(HELD)
    // What the sockets hold is the kernel's memory. The process is given room for what else goes on in it.
    expect(process.memoryUsage.rss() - before).toBeLessThan(HELD + 48 * MEBIBYTE)

    // Nothing was lost on the way: as soon as it is read, all of it arrives, and the client goes on.
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
    // Each write is waited for, so that what counts was taken by the kernel.
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
    // The client goes away without having read anything, and the server hears of it.
    const failure = new Promise<SystemError>((resolve) => {
      server.once('error', resolve as (error: Error) => void)
    })
    socket.setOption(client, 'linger', 0)
    socket.close(client)
    expect(['ECONNRESET', 'EPIPE']).toContain((await failure).code)
  })
})
