import { connect as connectNode, type Socket } from 'node:net'

import { describe, expect, onTestFinished, test } from 'vitest'

import type { SystemError } from '../../index.js'
import { socket } from '../../net.js'

import {
  anyPort,
  deferred,
  dial,
  drain,
  LOOPBACK,
  pattern,
  portOf,
  serve,
  sleep,
  until,
} from '../net/support.js'
import { first, kinds } from './support.js'

/** Both ends of one connection through the proxy, after the server has sent one byte. */
async function through(start: (upstream: number) => Promise<{ port: number }>): Promise<[Socket, Socket]> {
  const accepted = deferred<Socket>()
  const { port } = await start(await serve(accepted.resolve))
  const client = await dial(port)
  client.write('hello')
  const server = await accepted.promise
  expect(String(await first<Buffer>(server, 'data'))).toBe('hello')
  server.pause()
  return [client, server]
}

/** The error code of a connection; undefined where it ends in order. */
function broken(peer: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    peer.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    peer.once('end', () => resolve(undefined))
    peer.resume()
  })
}

describe.each(kinds)('$name', ({ start }) => {
  test('a client that ends first still receives everything', async () => {
    const [client, server] = await through(start)
    const [there, back] = [pattern(1_000_000, 1), pattern(2_000_000, 2)]
    client.end(there)
    expect((await drain(server)).equals(there)).toBe(true)
    server.end(back)
    expect((await drain(client)).equals(back)).toBe(true)
  })

  test('a server that ends first still receives everything', async () => {
    const [client, server] = await through(start)
    const [there, back] = [pattern(2_000_000, 1), pattern(1_000_000, 2)]
    server.end(back)
    expect((await drain(client)).equals(back)).toBe(true)
    client.end(there)
    expect((await drain(server)).equals(there)).toBe(true)
  })

  test('a reset of either side becomes a reset of the other', async () => {
    const [client, server] = await through(start)
    client.resetAndDestroy()
    expect(await broken(server)).toBe('ECONNRESET')
    const [receiver, sender] = await through(start)
    sender.resetAndDestroy()
    expect(await broken(receiver)).toBe('ECONNRESET')
  })

  test('a reset in the middle of a stream does not look like its end', async () => {
    // Plain descriptors: sockets of Node report a reset after the last bytes as an end.
    for (const from of ['client', 'server'] as const) {
      const listening = socket.listen(anyPort)
      onTestFinished(() => socket.close(listening))
      const { port } = await start(portOf(socket.address(listening)))
      const client = socket.connect({ host: LOOPBACK, port })
      let server = -1
      await until(() => (server = socket.accept(listening)) >= 0, 'the connection')
      const [speaker, listener] = from === 'client' ? [client, server] : [server, client]
      const bytes = pattern(8_000_000, 1)
      expect(socket.write(speaker, bytes)).toBeGreaterThan(0)
      const received = Buffer.alloc(bytes.length)
      let length = 0
      await until(() => {
        length += Math.max(0, socket.read(listener, received, length, 65_536))
        return length > 0
      }, 'the first bytes')
      socket.setOption(speaker, 'linger', 0)
      socket.close(speaker)
      let outcome: unknown
      await until(() => {
        try {
          for (;;) {
            const count = socket.read(listener, received, length)
            if (count < 0) return false
            if (count === 0) return true
            length += count
          }
        } catch (error) {
          outcome = (error as SystemError).code
          return true
        }
      }, 'the reset')
      socket.close(listener)
      expect(outcome, from).toBe('ECONNRESET')
      expect(received.subarray(0, length).equals(bytes.subarray(0, length)), from).toBe(true)
    }
  })

  test('a slow reader gets every byte, and does not slow other connections', async () => {
    const bytes = pattern(12_000_000, 1)
    const upstream = await serve((peer) => peer.end(bytes))
    const { port } = await start(upstream)
    const slow = connectNode({ host: LOOPBACK, port })
    slow.pause()
    await first(slow, 'connect')
    for (let round = 0; round < 5; round += 1) {
      expect((await drain(await dial(port))).equals(bytes)).toBe(true)
    }
    const chunks: Buffer[] = []
    let length = 0
    while (length < bytes.length) {
      const chunk = slow.read() as Buffer | null
      if (chunk === null) {
        await first(slow, 'readable')
        continue
      }
      chunks.push(chunk)
      length += chunk.length
      if (chunks.length % 64 === 0) await sleep(1)
    }
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true)
    slow.destroy()
  })

  test('a connection without any bytes can be ended by either side', async () => {
    const accepted: Socket[] = []
    const { port } = await start(await serve((peer) => accepted.push(peer)))
    for (const round of [0, 1]) {
      const client = await dial(port)
      await until(() => accepted.length === round + 1, 'the connection')
      const server = accepted[round] as Socket
      const [begin, other] = round === 0 ? [client, server] : [server, client]
      const received = [drain(client), drain(server)]
      begin.end()
      await first(other, 'end')
      other.end()
      expect((await Promise.all(received)).map(String)).toEqual(['', ''])
    }
  })

  test('a hundred concurrent connections of different sizes carry every byte in both directions', async () => {
    const upstream = await serve((peer) => peer.pipe(peer))
    const { port } = await start(upstream)
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const bytes = pattern(index * index * 13, index)
        const client = await dial(port)
        client.end(bytes)
        expect((await drain(client)).equals(bytes)).toBe(true)
      }),
    )
  })
})
