import { connect as connectNode, type Socket } from 'node:net'

import { describe, expect, onTestFinished, test } from 'vitest'

import type { SystemError } from '../../index.js'
import { socket } from '../../net.js'

import { deferred, dial, drain, LOOPBACK, pattern, portOf, serve, sleep, until } from '../net/support.js'
import { first, kinds } from './support.js'

/** A server's side of one connection, which has said a word, so that it is connected through. */
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

/** What a connection breaks off with; undefined where it ends in order. */
function broken(peer: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    peer.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    peer.once('end', () => resolve(undefined))
    peer.resume()
  })
}

describe.each(kinds)('$name', ({ start }) => {
  test('the client ends first, and still hears everything', async () => {
    const [client, server] = await through(start)
    const [there, back] = [pattern(1_000_000, 1), pattern(2_000_000, 2)]
    client.end(there)
    expect((await drain(server)).equals(there)).toBe(true)
    server.end(back)
    expect((await drain(client)).equals(back)).toBe(true)
  })

  test('the server ends first, and still hears everything', async () => {
    const [client, server] = await through(start)
    const [there, back] = [pattern(2_000_000, 1), pattern(1_000_000, 2)]
    server.end(back)
    expect((await drain(client)).equals(back)).toBe(true)
    client.end(there)
    expect((await drain(server)).equals(there)).toBe(true)
  })

  test('a reset is passed on from either side as a reset', async () => {
    const [client, server] = await through(start)
    client.resetAndDestroy()
    expect(await broken(server)).toBe('ECONNRESET')
    const [listener, speaker] = await through(start)
    speaker.resetAndDestroy()
    expect(await broken(listener)).toBe('ECONNRESET')
  })
})

describe.each(kinds)('$name', ({ start }) => {
  test('a reset in the middle of a stream leaves a beginning of it, and is no end', async () => {
    // Plain descriptors: Node's sockets take a reset behind the last bytes for an end.
    for (const from of ['client', 'server'] as const) {
      const door = socket.listen({ host: LOOPBACK, port: 0 })
      onTestFinished(() => socket.close(door))
      const { port } = await start(portOf(socket.address(door)))
      const client = socket.connect({ host: LOOPBACK, port })
      let server = -1
      await until(() => (server = socket.accept(door)) >= 0, 'the connection')
      const [speaker, listener] = from === 'client' ? [client, server] : [server, client]
      const bytes = pattern(8_000_000, 1)
      expect(socket.write(speaker, bytes)).toBeGreaterThan(0)
      const heard = Buffer.alloc(bytes.length)
      let length = 0
      await until(() => {
        length += Math.max(0, socket.read(listener, heard, length, 65_536))
        return length > 0
      }, 'the first bytes')
      socket.setOption(speaker, 'linger', 0)
      socket.close(speaker)
      let outcome: unknown
      await until(() => {
        try {
          for (;;) {
            const count = socket.read(listener, heard, length)
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
      expect(heard.subarray(0, length).equals(bytes.subarray(0, length)), from).toBe(true)
    }
  })

  test('a slow reader gets every byte, and slows nobody else', async () => {
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

  test('a connection that says nothing at all can be ended from either side', async () => {
    const accepted: Socket[] = []
    const { port } = await start(await serve((peer) => accepted.push(peer)))
    for (const round of [0, 1]) {
      const client = await dial(port)
      await until(() => accepted.length === round + 1, 'the connection')
      const server = accepted[round] as Socket
      const [begin, other] = round === 0 ? [client, server] : [server, client]
      const heard = [drain(client), drain(server)]
      begin.end()
      await first(other, 'end')
      other.end()
      expect((await Promise.all(heard)).map(String)).toEqual(['', ''])
    }
  })

  test('a hundred connections at once, each of its own size, both ways', async () => {
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
