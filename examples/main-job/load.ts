/** The clients: bulk, a crowd, and round trips, each verified byte by byte. */

import { randomInt } from 'node:crypto'
import { connect, type Socket } from 'node:net'

import { digest, DIGEST_BYTES, header, HEADER_BYTES, send } from './protocol.js'

/** The result of a part of the load. */
export interface Share {
  connections: number
  /** Bytes in both directions, as the proxy counts them. */
  bytes: number
  ms: number
}

function dial(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => resolve(socket))
  })
}

/** Reads until the end: the number of bytes, the digest without the trailer, and the trailer. */
function receive(socket: Socket, trailer: number): Promise<{ bytes: number; sum: Buffer; last: Buffer }> {
  return new Promise((resolve, reject) => {
    const hash = digest()
    let [bytes, last] = [0, Buffer.alloc(0)]
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      const joined = last.length === 0 ? chunk : Buffer.concat([last, chunk])
      const body = Math.max(joined.length - trailer, 0)
      hash.update(joined.subarray(0, body))
      last = Buffer.from(joined.subarray(body))
    })
    socket.once('error', reject)
    socket.once('end', () => resolve({ bytes, sum: hash.digest(), last }))
  })
}

function agree(what: string, expected: Buffer, found: Buffer): void {
  if (!expected.equals(found))
    throw new Error(`${what}: the bytes that arrived differ from those that were sent`)
}

async function upload(port: number, length: number): Promise<number> {
  const socket = await dial(port)
  const answer = receive(socket, DIGEST_BYTES)
  socket.write(header('U', length))
  const sum = await send(socket, length)
  socket.end()
  agree('upload', sum, (await answer).last)
  return HEADER_BYTES + length + DIGEST_BYTES
}

async function download(port: number, length: number): Promise<number> {
  const socket = await dial(port)
  socket.end(header('D', length))
  const { bytes, sum, last } = await receive(socket, DIGEST_BYTES)
  agree('download', last, sum)
  if (bytes !== length + DIGEST_BYTES)
    throw new Error(`download: ${bytes} bytes arrived, not ${length + DIGEST_BYTES}`)
  return HEADER_BYTES + bytes
}

/** Uploads and downloads at the same time. */
export async function bulk(port: number, load: { connections: number; bytes: number }): Promise<Share> {
  const start = performance.now()
  const each = Array.from({ length: load.connections }, () => [
    upload(port, load.bytes),
    download(port, load.bytes),
  ])
  const bytes = await Promise.all(each.flat())
  return {
    connections: bytes.length,
    bytes: bytes.reduce((sum, more) => sum + more, 0),
    ms: performance.now() - start,
  }
}

/** Many connections, all open before the first sends; each echoes a random number of bytes. */
export async function crowd(port: number, connections: number): Promise<Share> {
  const start = performance.now()
  const sockets = await Promise.all(Array.from({ length: connections }, () => dial(port)))
  const bytes = await Promise.all(
    sockets.map(async (socket) => {
      const length = randomInt(1, 262_144)
      const back = receive(socket, 0)
      socket.write(header('E', length))
      const sum = await send(socket, length)
      socket.end()
      const received = await back
      agree('echo', sum, received.sum)
      return HEADER_BYTES + length + received.bytes
    }),
  )
  return {
    connections,
    bytes: bytes.reduce((sum, more) => sum + more, 0),
    ms: performance.now() - start,
  }
}

const MESSAGE = 64

/** Sends one message at a time and waits for its echo; returns the microseconds of each round trip. */
async function converse(port: number, trips: number): Promise<number[]> {
  const socket = await dial(port)
  socket.write(header('E', trips * MESSAGE))
  const times: number[] = []
  for (let trip = 0; trip < trips; trip++) {
    const message = Buffer.alloc(MESSAGE, trip)
    message.writeUInt32BE(trip)
    const start = process.hrtime.bigint()
    const back = read(socket, MESSAGE)
    socket.write(message)
    agree('round trip', message, await back)
    times.push(Number(process.hrtime.bigint() - start) / 1000)
  }
  const end = receive(socket, 0)
  socket.end()
  if ((await end).bytes !== 0) throw new Error('round trip: more bytes arrived than were sent')
  return times
}

function read(socket: Socket, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let missing = length
    const settle = (error?: Error): void => {
      socket.off('data', onData).off('close', onClose)
      if (error === undefined) resolve(Buffer.concat(chunks))
      else reject(error)
    }
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk)
      missing -= chunk.length
      if (missing <= 0) settle()
    }
    const onClose = (): void => settle(new Error('the connection was closed early'))
    socket.on('data', onData).once('close', onClose)
  })
}

/** Small messages on connections that stay open. */
export async function roundTrips(
  port: number,
  load: { connections: number; trips: number },
): Promise<Share & { p50: number; p99: number }> {
  const start = performance.now()
  const talks = await Promise.all(Array.from({ length: load.connections }, () => converse(port, load.trips)))
  const times = talks.flat().sort((a, b) => a - b)
  const at = (part: number): number => times[Math.floor(times.length * part)] ?? Number.NaN
  return {
    connections: load.connections,
    bytes: load.connections * (HEADER_BYTES + 2 * MESSAGE * load.trips),
    ms: performance.now() - start,
    p50: at(0.5),
    p99: at(0.99),
  }
}
