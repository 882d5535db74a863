import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'

import { expect, onTestFinished, test } from 'vitest'

import { LoopFlag } from '../../index.js'
import { listen, socket, type BindOptions, type ListenOptions } from '../../net.js'
import {
  anyPort,
  baseOn,
  dial,
  folder,
  LOOPBACK,
  openDescriptors,
  portOf,
  running,
  silentPort,
  thrown,
  until,
} from './support.js'

/** The descriptor of the first connection that a listener with these options accepts. */
async function firstConnection(options: ListenOptions): Promise<number> {
  const base = await running()
  let first = -1
  const listener = listen(base, options, (fd) => (first = fd))
  await dial(portOf(listener.address))
  await until(() => first !== -1, 'a connection')
  onTestFinished(() => socket.close(first))
  return first
}

test('the unspecified address accepts both families, and IPv6 only on request', async () => {
  const base = await running()
  const hosts: string[] = []
  const listener = listen(base, { host: '::', port: 0 }, (fd, peer) => {
    hosts.push(`${peer.family} ${peer.host}`)
    socket.close(fd)
  })
  expect(listener.address).toMatchObject({ host: '::', family: 'IPv6' })
  for (const host of [LOOPBACK, '::1']) {
    const fd = socket.connect({ host, port: listener.address.port })
    await until(() => hosts.length === (host === LOOPBACK ? 1 : 2), host)
    socket.close(fd)
  }
  expect(hosts).toEqual(['IPv6 ::ffff:127.0.0.1', 'IPv6 ::1'])
  const listening = socket.listen({ host: '::', port: 0, ipv6Only: true })
  expect(socket.getOption(listening, 'ipv6Only')).toBe(true)
  socket.close(listening)
})

test('connections inherit the options of the listener', async () => {
  const given = await firstConnection({ ...anyPort, noDelay: true, keepAlive: true, keepAliveIdle: 41_500 })
  expect(socket.getOption(given, 'noDelay')).toBe(true)
  expect(socket.getOption(given, 'keepAlive')).toBe(true)
  expect(socket.getOption(given, 'keepAliveIdle')).toBe(42_000)
  const plain = await firstConnection(anyPort)
  expect(socket.getOption(plain, 'noDelay')).toBe(false)
  expect(socket.getOption(plain, 'keepAlive')).toBe(false)
})

test('two bases share an address and the connections to it', async () => {
  const [first, second] = [await running(), await running()]
  const [here, there]: [number[], number[]] = [[], []]
  const listening = listen(first, { ...anyPort, reusePort: true }, (fd) => here.push(fd))
  listen(second, { ...listening.address, reusePort: true }, (fd) => there.push(fd))
  // The kernel selects a listener by a hash of the addresses and ports, so that a hundred clients reach both.
  const clients = Array.from({ length: 100 }, () => socket.connect(listening.address))
  await until(() => here.length + there.length === clients.length, 'a hundred connections')
  for (const fd of [...clients, ...here, ...there]) socket.close(fd)
  expect(Math.min(here.length, there.length)).toBeGreaterThan(0)
})

test('an address that the host does not have yet can be bound', () => {
  const base = baseOn()
  const target = { host: '198.51.100.1', port: 0 }
  expect(thrown(() => listen(base, target, () => {}))).toMatchObject({
    code: 'EADDRNOTAVAIL',
    syscall: 'bind',
    address: target.host,
  })
  expect(listen(base, { ...target, freeBind: true }, () => {}).address.host).toBe(target.host)
})

test('a connection without data is not reported with deferAccept', async () => {
  const base = await running()
  const [asked, plain]: [number[], number[]] = [[], []]
  const listening = listen(base, { ...anyPort, deferAccept: 60_000 }, (fd) => asked.push(fd))
  const other = listen(base, anyPort, (fd) => plain.push(fd))
  const client = await dial(portOf(listening.address))
  await dial(portOf(other.address))
  await until(() => plain.length === 1, 'the connection to the plain listener')
  expect(asked).toEqual([])
  client.write('x')
  await until(() => asked.length === 1, 'the connection that spoke')
  for (const fd of [...asked, ...plain]) socket.close(fd)
})

test('fastOpen sets the length of its queue, and a backlog of -1 is the default', () => {
  const listening = socket.listen({ ...anyPort, fastOpen: 7, backlog: -1 })
  expect(socket.getOption(listening, 'fastOpen')).toBe(7)
  socket.close(listening)
})

test('an explicit backlog limits the pending connections', async () => {
  // The listener at this port has a backlog of 0, and its queue is full.
  const fd = socket.connect({ host: LOOPBACK, port: await silentPort() })
  expect(thrown(() => socket.peer(fd))).toMatchObject({ code: 'ENOTCONN' })
  socket.close(fd)
})

test.each<[keyof BindOptions, BindOptions]>([
  ['reusePort', { reusePort: true }],
  ['ipv6Only', { ipv6Only: true }],
  ['transparent', { transparent: true }],
  ['freeBind', { freeBind: true }],
  ['fastOpen', { fastOpen: 1 }],
  ['deferAccept', { deferAccept: 1000 }],
  ['noDelay', { noDelay: true }],
  ['keepAlive', { keepAlive: true }],
  ['keepAliveIdle', { keepAliveIdle: 1000 }],
])('%s is refused with a path, and with a descriptor', (name, options) => {
  const base = baseOn()
  const path = `${folder()}/listening`
  const before = openDescriptors()
  expect(thrown(() => listen(base, { path, ...options }, () => {}))).toMatchObject({
    code: 'EOPNOTSUPP',
    syscall: 'setsockopt',
    address: path,
  })
  expect(existsSync(path)).toBe(false)
  const fd = socket.listen(anyPort)
  const refused = thrown(() => listen(base, { fd, ...options }, () => {}))
  expect(refused).toMatchObject({ code: 'ERR_OUT_OF_RANGE', message: expect.stringContaining(name) })
  // The caller keeps the descriptor.
  socket.close(fd)
  expect(openDescriptors()).toBe(before)
})

test.each<[string, string, object]>([
  ['ipv6Only 1', 'ERR_INVALID_ARG_TYPE', { ipv6Only: 1 }],
  ['transparent "yes"', 'ERR_INVALID_ARG_TYPE', { transparent: 'yes' }],
  ['freeBind null', 'ERR_INVALID_ARG_TYPE', { freeBind: null }],
  ['fastOpen true', 'ERR_INVALID_ARG_TYPE', { fastOpen: true }],
  ['fastOpen -1', 'ERR_OUT_OF_RANGE', { fastOpen: -1 }],
  ['deferAccept -1', 'ERR_OUT_OF_RANGE', { deferAccept: -1 }],
  ['deferAccept of a century', 'ERR_OUT_OF_RANGE', { deferAccept: 3e12 }],
  ['keepAliveIdle NaN', 'ERR_OUT_OF_RANGE', { keepAliveIdle: Number.NaN }],
  ['backlog -2', 'ERR_OUT_OF_RANGE', { backlog: -2 }],
  ['backlog 1.5', 'ERR_OUT_OF_RANGE', { backlog: 1.5 }],
  ['backlog 2^31', 'ERR_OUT_OF_RANGE', { backlog: 2 ** 31 }],
  ['paused 1', 'ERR_INVALID_ARG_TYPE', { paused: 1 }],
  ['a host and a descriptor', 'ERR_OUT_OF_RANGE', { fd: 0 }],
])('%s is refused: %s', (_what, code, options) => {
  const base = baseOn()
  const before = openDescriptors()
  expect(thrown(() => listen(base, { ...anyPort, ...options }, () => {}))).toMatchObject({ code })
  expect(openDescriptors()).toBe(before)
})

test('a listener that is created paused accepts after it is resumed', () => {
  const base = baseOn()
  let accepted = 0
  const listener = listen(base, { ...anyPort, paused: true }, (fd) => {
    accepted += 1
    socket.close(fd)
  })
  const client = socket.connect(listener.address)
  base.loop(LoopFlag.NONBLOCK)
  base.loop(LoopFlag.NONBLOCK)
  expect(accepted).toBe(0)
  listener.resume()
  base.loop(LoopFlag.ONCE)
  expect(accepted).toBe(1)
  socket.close(client)
})

test('an address in use is refused, whatever uses it', async () => {
  const base = baseOn()
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(0, LOOPBACK, resolve)
  })
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const before = openDescriptors()
  expect(thrown(() => listen(base, { host: LOOPBACK, port }, () => {}))).toMatchObject({
    code: 'EADDRINUSE',
    syscall: 'bind',
    address: LOOPBACK,
    port,
  })
  expect(openDescriptors()).toBe(before)
})

test('a path left by a process that has ended is in use, as in Node', () => {
  const base = baseOn()
  const path = `${folder()}/listening`
  // The raw socket leaves its path behind, as a process that was killed does.
  socket.close(socket.listen({ path }))
  expect(existsSync(path)).toBe(true)
  const refused = thrown(() => listen(base, { path }, () => {}))
  expect(refused).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind', address: path })
  expect(existsSync(path)).toBe(true)
})
