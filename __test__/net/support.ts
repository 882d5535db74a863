/** Helpers of the specs of `event-base/net`. */

import { once } from 'node:events'
import { connect as connectNode, createServer, type AddressInfo, type Socket } from 'node:net'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

import { onTestFinished } from 'vitest'

import { BaseFlag, EventBase, EventConfig, type Method } from '../../index.js'
import {
  relay,
  socket,
  type InternetAddress,
  type Relay,
  type RelayEnd,
  type RelayOptions,
  type SocketAddress,
} from '../../net.js'
import { afterPass, until } from '../support/base.js'

export { openDescriptors } from '../../scripts/lib/system.mjs'
export { until }

export const LOOPBACK = '127.0.0.1'

/** A free port of the loopback interface, which the system chooses. */
export const anyPort = { host: LOOPBACK, port: 0 } as const

/** The backends of this build, and epoll with a list of changes. */
export const everyMethod: readonly Method[] = EventBase.supportedMethods().flatMap((method) =>
  method === 'epoll' ? [method, 'epoll (with changelist)'] : [method],
)

/** A base on one method, closed after the test. */
export function baseOn(method?: Method): EventBase {
  const config = new EventConfig()
  if (method !== undefined) {
    const [plain] = method.split(' ')
    for (const other of EventBase.supportedMethods()) if (other !== plain) config.avoidMethod(other)
    if (method === 'epoll (with changelist)') config.setFlags(BaseFlag.EPOLL_USE_CHANGELIST)
  }
  const base = config.build()
  onTestFinished(() => base.close())
  return base
}

/** A base that is run until the test ends, with every descriptor of its own already open. */
export async function running(method?: Method): Promise<EventBase> {
  const base = baseOn(method)
  // A pending timer, so that the run does not end between sources.
  base.newTimer(() => {}, { persist: true }).add(60_000)
  void base.run()
  await afterPass(base)
  return base
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}

/** Starts a server of Node, and returns its port. Closed after the test, with its connections. */
export async function serve(onConnection: (peer: Socket) => void): Promise<number> {
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (peer) => {
    open.add(peer)
    peer.on('error', () => {})
    peer.on('close', () => open.delete(peer))
    onConnection(peer)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, LOOPBACK, resolve)
  })
  onTestFinished(() => {
    server.close()
    for (const peer of open) peer.destroy()
  })
  return (server.address() as AddressInfo).port
}

/** A connected client of Node, destroyed after the test. */
export async function dial(port: number): Promise<Socket> {
  const client = connectNode({ host: LOOPBACK, port, allowHalfOpen: true })
  onTestFinished(() => void client.destroy())
  await new Promise((resolve, reject) => {
    client.once('connect', resolve)
    client.once('error', reject)
  })
  return client
}

/**
 * Connects, and resolves when the connection is reset, which may be before Node has noticed that the connect succeeded.
 * Rejects if it ends in another way.
 */
export async function dialToReset(port: number): Promise<void> {
  const client = connectNode({ host: LOOPBACK, port }).resume()
  onTestFinished(() => void client.destroy())
  const end: unknown = await once(client, 'close').catch((error: unknown) => error)
  if ((end as { code?: unknown }).code !== 'ECONNRESET') {
    throw new Error('the connection was not reset', { cause: end })
  }
}

/** The bytes of a stream until its end. The stream stays open for writing. */
export function drain(stream: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.once('end', () => resolve(Buffer.concat(chunks)))
    stream.once('error', reject)
    stream.resume()
  })
}

/** Reads a stream that is cut: resolves with its bytes when it is reset, and rejects where it ends as if complete. */
export function readToReset(stream: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.once('end', () => reject(new Error('the stream ended as if it were complete')))
    stream.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') resolve(Buffer.concat(chunks))
      else reject(error)
    })
    stream.resume()
  })
}

/** A connection: a descriptor for the code under test, and the other end as a socket of Node's. */
export interface Connection {
  fd: number
  far: Socket
}

/** Makes a connection through the loopback interface. */
export async function connection(): Promise<Connection> {
  const listening = socket.listen(anyPort)
  const far = await dial(portOf(socket.address(listening)))
  let fd = -1
  await until(() => (fd = socket.accept(listening)) !== -1, 'the accept')
  socket.close(listening)
  return { fd, far }
}

/** A relay between two new connections, and the promise of its end. */
export async function openRelay(
  base: EventBase,
  options: RelayOptions = {},
): Promise<{ a: Connection; b: Connection; pipe: Relay; ended: Promise<RelayEnd> }> {
  const [a, b] = [await connection(), await connection()]
  const { promise: ended, resolve } = deferred<RelayEnd>()
  return { a, b, pipe: relay(base, a.fd, b.fd, options, resolve), ended }
}

export function portOf(address: SocketAddress): number {
  return (address as InternetAddress).port
}

// Open as long as the process, so that the port of the client is not used again.
const queue = socket.listen(anyPort)
const queueing = socket.connect({ host: LOOPBACK, port: portOf(socket.address(queue)) })

/** A port that refuses connections: its socket does not listen. */
export function closedPort(): number {
  return portOf(socket.address(queueing))
}

function isConnected(fd: number): boolean {
  try {
    socket.peer(fd)
    return true
  } catch {
    return false
  }
}

/** Fills the queue of a listener with a backlog of 0, so that a connect gets no answer, as from a host that is down. */
export async function silence(host: string, port: number): Promise<void> {
  const waiting = [1, 2, 3].map(() => socket.connect({ host, port }))
  onTestFinished(() => waiting.forEach((fd) => socket.close(fd)))
  // The queue is full as soon as the first of them is connected.
  await until(() => waiting.some(isConnected), 'a full queue')
}

/** A port that does not answer. */
export async function silentPort(): Promise<number> {
  const listening = socket.listen({ ...anyPort, backlog: 0 })
  onTestFinished(() => socket.close(listening))
  const port = portOf(socket.address(listening))
  await silence(LOOPBACK, port)
  return port
}

/** A folder, removed after the test. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'event-base-'))
  onTestFinished(() => rmSync(path, { recursive: true }))
  return path
}

/** Pseudorandom bytes, which no shift, loss or repetition leaves equal. */
export function pattern(length: number, seed: number): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4))
  let state = (seed * 2_654_435_761) | 1
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[index] = state
  }
  return Buffer.from(words.buffer, 0, length)
}

function ignore(): void {}

/** A promise and the function that resolves it. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = ignore
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

/** The error that a call throws. */
export function thrown(call: () => unknown): Record<string, unknown> {
  try {
    call()
  } catch (error) {
    return error as Record<string, unknown>
  }
  throw new Error('nothing was thrown')
}
