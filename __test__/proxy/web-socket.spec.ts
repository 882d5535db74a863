import { createServer, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

import { describe, expect, test } from 'vitest'

import { dial, pattern, until } from '../net/support.js'
import { acceptance, Deframer, frame, Opcode } from './frames.js'
import { first, kinds, serving } from './support.js'

const MASK = Buffer.from([0x12, 0x34, 0x56, 0x78])
const KEY = Buffer.from('sixteen bytes ok').toString('base64')

/** Joins messages, returns each in fragments with a ping between them, answers pings and close frames. */
function serveFrames(peer: Socket, pongs: Buffer[]): void {
  const incoming = new Deframer()
  const parts: Buffer[] = []
  peer.on('data', (piece: Buffer) => {
    for (const { final, opcode, masked, payload } of incoming.push(piece)) {
      if (!masked) return void peer.destroy()
      if (opcode === Opcode.PING) peer.write(frame(Opcode.PONG, payload))
      if (opcode === Opcode.PONG) pongs.push(payload)
      if (opcode === Opcode.CLOSE) peer.end(frame(Opcode.CLOSE, payload))
      if (opcode > Opcode.BINARY) continue
      parts.push(payload)
      if (!final) continue
      const message = Buffer.concat(parts.splice(0))
      const half = message.length >> 1
      peer.write(frame(Opcode.BINARY, message.subarray(0, half), { final: false }))
      peer.write(frame(Opcode.PING, Buffer.from(`${message.length}`)))
      peer.write(frame(Opcode.CONTINUATION, message.subarray(half)))
    }
  })
}

async function webSocketServer(pongs: Buffer[] = []): Promise<number> {
  const server = createServer()
  server.on('upgrade', (request: IncomingMessage, peer: Socket) => {
    const accept = acceptance(request.headers['sec-websocket-key'] ?? '')
    peer.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    peer.on('error', () => {})
    serveFrames(peer, pongs)
  })
  return await serving(server)
}

/** A client after its handshake. */
async function webSocketClient(port: number): Promise<{ client: Socket; incoming: Deframer }> {
  const client = await dial(port)
  client.write(
    `GET /chat HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`,
  )
  const head = String(await first<Buffer>(client, 'data'))
  expect(head).toMatch(/^HTTP\/1\.1 101 /)
  expect(head).toContain(`Sec-WebSocket-Accept: ${acceptance(KEY)}\r\n\r\n`)
  const incoming = new Deframer()
  client.on('data', (piece: Buffer) => {
    for (const { opcode, payload } of incoming.push(piece))
      if (opcode === Opcode.PING) client.write(frame(Opcode.PONG, payload, { mask: MASK }))
  })
  return { client, incoming }
}

describe.each(kinds)('$name', ({ start }) => {
  test('messages with heads of every length arrive, in fragments between pings', async () => {
    const pongs: Buffer[] = []
    const { port } = await start(await webSocketServer(pongs))
    const { client, incoming } = await webSocketClient(port)
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 400_000]
    const data = () => incoming.frames.filter(({ opcode }) => opcode <= Opcode.BINARY)
    for (const [index, size] of sizes.entries()) {
      const message = pattern(size, index)
      const third = Math.ceil(size / 3)
      client.write(frame(Opcode.BINARY, message.subarray(0, third), { final: false, mask: MASK }))
      client.write(
        frame(Opcode.CONTINUATION, message.subarray(third, 2 * third), { final: false, mask: MASK }),
      )
      client.write(frame(Opcode.CONTINUATION, message.subarray(2 * third), { mask: MASK }))
      await until(() => data().length === 2 * (index + 1), 'the answer')
      const [head, tail] = data().slice(-2)
      expect([head?.final, tail?.final, tail?.opcode]).toEqual([false, true, Opcode.CONTINUATION])
      expect(Buffer.concat([head?.payload ?? '', tail?.payload ?? ''] as Buffer[]).equals(message)).toBe(true)
    }
    expect(incoming.frames.every(({ masked }) => !masked)).toBe(true)
    await until(() => pongs.length === sizes.length, 'a pong to each ping')
    expect(pongs.map(String)).toEqual(sizes.map(String))
  })

  test('a ping is answered, and the close frame returns before the end of the stream', async () => {
    const { port } = await start(await webSocketServer())
    const { client, incoming } = await webSocketClient(port)
    client.write(frame(Opcode.PING, Buffer.from('still there?'), { mask: MASK }))
    await until(() => incoming.frames.length === 1, 'the pong')
    const reason = Buffer.concat([Buffer.from([0x03, 0xe8]), Buffer.from('done')])
    const ended = first(client, 'end')
    client.write(frame(Opcode.CLOSE, reason, { mask: MASK }))
    await ended
    expect(incoming.frames.map(({ opcode, payload }) => [opcode, String(payload)])).toEqual([
      [Opcode.PONG, 'still there?'],
      [Opcode.CLOSE, String(reason)],
    ])
  })

  test('frames arrive complete wherever the stream is cut into pieces', async () => {
    const { port } = await start(await webSocketServer())
    const { client, incoming } = await webSocketClient(port)
    const count = 300
    const messages = Array.from({ length: count }, (_, index) =>
      frame(Opcode.TEXT, pattern(index % 40, index), { mask: MASK }),
    )
    const bytes = Buffer.concat(messages)
    for (let at = 0; at < bytes.length; at += 7) client.write(bytes.subarray(at, at + 7))
    const answers = () => incoming.frames.filter(({ opcode }) => opcode === Opcode.CONTINUATION)
    await until(() => answers().length === count, 'every answer')
    const sizes = incoming.frames
      .filter(({ opcode }) => opcode === Opcode.PING)
      .map(({ payload }) => Number(payload))
    expect(sizes).toEqual(Array.from({ length: count }, (_, index) => index % 40))
  })
})
