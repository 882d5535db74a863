/** Shared by the specs that send traffic through a proxy: the kinds of proxy, and streams that are read to their end. */

import { once, type EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo, Server } from 'node:net'
import type { Readable } from 'node:stream'

import { onTestFinished } from 'vitest'

import type { EventBase, Method } from '../../index.js'
import {
  connect,
  listen,
  proxy,
  relay,
  socket,
  type Relay,
  type RelayEnd,
  type RelayOptions,
} from '../../net.js'
import { anyPort, LOOPBACK, portOf, running } from '../net/support.js'

/** A proxy that runs until the test ends. */
export interface Proxied {
  /** Where clients connect to. */
  readonly port: number
  /** Bytes that it has read and not written, if it counts them. */
  held?(): number
  /** How connections ended, if it records that. */
  readonly ends?: readonly RelayEnd[]
}

/** A way to run a proxy. */
export interface Kind {
  readonly name: string
  /** Starts a proxy in front of a port of this machine. */
  start(upstream: number): Promise<Proxied>
}

/** Connects to the upstream, and relays. */
export async function forward(
  base: EventBase,
  fd: number,
  upstream: number,
  options: RelayOptions = {},
  onEnd?: (end: RelayEnd) => void,
): Promise<Relay | undefined> {
  let there: number
  try {
    there = await connect(base, { host: LOOPBACK, port: upstream })
  } catch {
    socket.close(fd)
    return undefined
  }
  return relay(base, fd, there, options, onEnd)
}

/** `listen`, `connect` and `relay` on one base. */
export async function onOneBase(upstream: number, method?: Method, options?: RelayOptions): Promise<Proxied> {
  const base = await running(method)
  const relays = new Set<Relay>()
  const ends: RelayEnd[] = []
  const listener = listen(base, anyPort, async (fd) => {
    const made = await forward(base, fd, upstream, options, (end) => {
      ends.push(end)
      if (made !== undefined) relays.delete(made)
    })
    if (made !== undefined) relays.add(made)
  })
  return {
    port: portOf(listener.address),
    held: () => [...relays].reduce((sum, { stats }) => sum + stats.heldAToB + stats.heldBToA, 0),
    ends,
  }
}

/** `proxy()`. */
export async function onThreads(upstream: number, threads = 2): Promise<Proxied> {
  const made = await proxy({ listen: anyPort, upstream: { host: LOOPBACK, port: upstream }, threads })
  onTestFinished(() => made.close())
  return { port: portOf(made.address) }
}

/** The kinds that every case runs on. */
export const kinds: readonly Kind[] = [
  { name: 'relay()', start: (upstream) => onOneBase(upstream) },
  { name: 'relay() on poll', start: (upstream) => onOneBase(upstream, 'poll') },
  { name: 'proxy()', start: (upstream) => onThreads(upstream) },
]

/** Lets a server listen at a free port until the test ends. */
export async function serving(server: Server, close?: () => void): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, LOOPBACK, resolve)
  })
  onTestFinished(() => {
    close?.()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** All bytes of a stream. Rejects if it ends early. A duplex stream stays open for writing. */
export function whole(stream: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.once('end', () => resolve(Buffer.concat(chunks)))
    stream.once('error', reject)
    stream.once('close', () => reject(new Error('the stream was closed before its end')))
  })
}

/** The first value that an emitter emits under a name. Rejects on an error before it. */
export async function first<T>(emitter: EventEmitter, name: string): Promise<T> {
  const [value] = (await once(emitter, name)) as [T]
  return value
}

/** The descriptor of a connect in progress; closed after the test. */
export function rawClient(port: number): number {
  const fd = socket.connect({ host: LOOPBACK, port })
  onTestFinished(() => socket.close(fd))
  return fd
}

function fixture(name: string): string {
  return readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url), 'latin1')
}

/** A key and its self-signed certificate for `localhost`, which clients trust. */
export const credentials = { key: fixture('key.pem'), cert: fixture('cert.pem') }
