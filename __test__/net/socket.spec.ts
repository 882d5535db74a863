import { constants } from 'node:os'

import { describe, expect, test } from 'vitest'

import { native } from '../../ts/native.js'
import { OPTION_KINDS } from '../../ts/net/options.js'
import { socket } from '../../net.js'
import {
  anyPort,
  closedPort,
  connection,
  folder,
  LOOPBACK,
  openDescriptors,
  portOf,
  thrown,
  until,
} from './support.js'

test('a listener, a client and an accepted connection have their addresses', async () => {
  for (const host of [LOOPBACK, '::1']) {
    const listening = socket.listen({ host, port: 0 })
    const address = socket.address(listening)
    expect(address).toEqual({ host, port: expect.any(Number), family: host === '::1' ? 'IPv6' : 'IPv4' })
    expect(socket.accept(listening)).toBe(-1)
    const client = socket.connect({ host, port: portOf(address) })
    let server = -1
    await until(() => (server = socket.accept(listening)) !== -1)
    expect(socket.error(client)).toBe(0)
    expect(socket.peer(client)).toEqual(address)
    expect(socket.peer(server)).toEqual(socket.address(client))
    for (const fd of [listening, client, server]) socket.close(fd)
  }
})

test('"localhost" means 127.0.0.1', () => {
  const listening = socket.listen({ host: 'localhost', port: 0 })
  expect(socket.address(listening)).toMatchObject({ host: LOOPBACK })
  socket.close(listening)
})

test('paths and abstract names are addresses too', () => {
  for (const path of [`${folder()}/listening`, `\0event-base-${process.pid}`]) {
    const listening = socket.listen({ path })
    expect(socket.address(listening)).toEqual({ path })
    const client = socket.connect({ path })
    const server = socket.accept(listening)
    expect(server).toBeGreaterThan(2)
    expect(socket.peer(client)).toEqual({ path })
    expect(socket.peer(server)).toEqual({ path: '' })
    for (const fd of [listening, client, server]) socket.close(fd)
  }
})

test('read() and write() distinguish bytes, no bytes and the end', () => {
  for (const [near, far] of [socket.pair(), socket.pipe()]) {
    const buffer = Buffer.alloc(16)
    expect(socket.read(near, buffer)).toBe(-1)
    expect(socket.write(far, Buffer.from('hello'))).toBe(5)
    expect(socket.read(near, buffer, 2)).toBe(5)
    expect(buffer.toString('latin1')).toBe(`\0\0hello${'\0'.repeat(9)}`)

    expect(socket.write(far, Buffer.from('abcdef'), 2, 3)).toBe(3)
    expect(socket.read(near, buffer, 0, 2)).toBe(2)
    expect(socket.read(near, buffer, 2)).toBe(1)
    expect(buffer.toString('latin1', 0, 3)).toBe('cde')

    let written = 0
    for (let count = 0; count !== -1; count = socket.write(far, Buffer.alloc(65_536))) written += count
    expect(written).toBeGreaterThan(0)
    const large = Buffer.alloc(1 << 20)
    for (let count = 0; count !== -1; count = socket.read(near, large)) written -= count
    expect(written).toBe(0)

    socket.close(far)
    expect(socket.read(near, buffer)).toBe(0)
    socket.close(near)
  }
})

test('a direction can be shut down', () => {
  const [near, far] = socket.pair()
  socket.shutdown(far, 'write')
  expect(socket.read(near, Buffer.alloc(1))).toBe(0)
  expect(socket.write(near, Buffer.from('x'))).toBe(1)
  socket.shutdown(near, 'both')
  expect(thrown(() => socket.write(near, Buffer.from('x')))).toMatchObject({
    code: 'EPIPE',
    syscall: 'write',
  })
  socket.close(near)
  socket.close(far)
})

test('a refused connect is reported by error(), once', async () => {
  const fd = socket.connect({ host: LOOPBACK, port: closedPort() })
  let errno = 0
  await until(() => (errno = socket.error(fd)) !== 0)
  expect(errno).toBe(constants.errno.ECONNREFUSED)
  expect(socket.error(fd)).toBe(0)
  socket.close(fd)
})

test('a stream that is connected to itself has the error ECONNREFUSED', () => {
  const free = socket.listen(anyPort)
  const port = portOf(socket.address(free))
  socket.close(free)
  const fd = socket.connect({ host: LOOPBACK, port }, { localPort: port })
  expect(portOf(socket.peer(fd))).toBe(port)
  expect(socket.error(fd)).toBe(constants.errno.ECONNREFUSED)
  socket.close(fd)
  // No connection in TIME_WAIT uses the port.
  const listening = socket.listen({ host: LOOPBACK, port })
  expect(socket.error(listening)).toBe(0)
  socket.close(listening)
})

test("failures of the system have the properties of Node's own errors", () => {
  const before = openDescriptors()
  const listening = socket.listen(anyPort)
  const port = portOf(socket.address(listening))
  const taken = thrown(() => socket.listen({ host: LOOPBACK, port }))
  expect(taken).toBeInstanceOf(Error)
  expect(taken).toMatchObject({
    code: 'EADDRINUSE',
    errno: -constants.errno.EADDRINUSE,
    syscall: 'bind',
    address: LOOPBACK,
    port,
    message: `bind EADDRINUSE: address already in use ${LOOPBACK}:${port}`,
  })
  socket.close(listening)
  expect(thrown(() => socket.connect({ path: '/nonexistent/listening' }))).toMatchObject({
    code: 'ENOENT',
    syscall: 'connect',
    address: '/nonexistent/listening',
  })
  expect(thrown(() => socket.accept(listening))).toMatchObject({
    code: 'EBADF',
    syscall: 'accept',
    fd: listening,
  })
  expect(thrown(() => socket.close(listening))).toMatchObject({
    code: 'EBADF',
    syscall: 'close',
    fd: listening,
  })
  expect(openDescriptors()).toBe(before)
})

test('a port can be shared if both sockets allow it', () => {
  const first = socket.listen({ ...anyPort, reusePort: true })
  const port = portOf(socket.address(first))
  const second = socket.listen({ host: LOOPBACK, port, reusePort: true })
  expect(thrown(() => socket.listen({ host: LOOPBACK, port }))).toMatchObject({ code: 'EADDRINUSE' })
  socket.close(first)
  socket.close(second)
})

describe('options', () => {
  test('are the same in TypeScript and in the native layer', () => {
    const kinds = ['switch', 'count', 'time']
    const there = native.socketOptions().map(([name, kind]) => [name, kinds[kind]])
    expect(Object.fromEntries(there)).toEqual(OPTION_KINDS)
  })

  test('are returned in the form in which they were set', async () => {
    const { fd, far } = await connection()
    socket.setOption(fd, 'noDelay', true)
    expect(socket.getOption(fd, 'noDelay')).toBe(true)
    socket.setOption(fd, 'noDelay', false)
    expect(socket.getOption(fd, 'noDelay')).toBe(false)
    socket.setOption(fd, 'keepAliveCount', 5)
    expect(socket.getOption(fd, 'keepAliveCount')).toBe(5)
    socket.setOption(fd, 'keepAliveIdle', 1500)
    expect(socket.getOption(fd, 'keepAliveIdle')).toBe(2000)
    socket.setOption(fd, 'linger', 0)
    expect(socket.getOption(fd, 'linger')).toBe(0)
    socket.setOption(fd, 'linger', false)
    expect(socket.getOption(fd, 'linger')).toBe(false)
    socket.setOption(fd, 'receiveBuffer', 30_000)
    expect(socket.getOption(fd, 'receiveBuffer')).toBeGreaterThanOrEqual(30_000)
    socket.close(fd)
    far.destroy()
  })

  test('are refused if the address family does not have them', () => {
    const [near, far] = socket.pair()
    expect(thrown(() => socket.setOption(near, 'noDelay', true))).toMatchObject({
      code: 'EOPNOTSUPP',
      syscall: 'setsockopt',
      fd: near,
    })
    socket.close(near)
    socket.close(far)
  })
})

test('a descriptor can be switched between blocking and nonblocking', () => {
  const [near, far] = socket.pair()
  socket.setNonblocking(near, false)
  socket.write(far, Buffer.from('x'))
  expect(socket.read(near, Buffer.alloc(2))).toBe(1)
  socket.setNonblocking(near)
  expect(socket.read(near, Buffer.alloc(2))).toBe(-1)
  socket.close(near)
  socket.close(far)
})

const shared = new Uint8Array(new SharedArrayBuffer(4))
const refusals: [string, string, (call: typeof socket) => unknown][] = [
  ['no target', 'ERR_INVALID_ARG_TYPE', (call) => call.listen(undefined as never)],
  ['null', 'ERR_INVALID_ARG_TYPE', (call) => call.connect(null as never)],
  ['no host', 'ERR_INVALID_ARG_TYPE', (call) => call.listen({ port: 1 } as never)],
  [
    'an interface that is not there',
    'ERR_OUT_OF_RANGE',
    (call) => call.connect({ host: 'fe80::1%nowhere', port: 1 }),
  ],
  ['a name', 'ERR_OUT_OF_RANGE', (call) => call.listen({ host: 'example.com', port: 1 })],
  ['no port', 'ERR_INVALID_ARG_TYPE', (call) => call.connect({ host: LOOPBACK } as never)],
  ['a port too high', 'ERR_OUT_OF_RANGE', (call) => call.connect({ host: LOOPBACK, port: 65_536 })],
  ['half a port', 'ERR_OUT_OF_RANGE', (call) => call.connect({ host: LOOPBACK, port: 1.5 })],
  ['a numeric path', 'ERR_INVALID_ARG_TYPE', (call) => call.connect({ path: 5 } as never)],
  ['an empty path', 'ERR_OUT_OF_RANGE', (call) => call.connect({ path: '' })],
  ['a path too long', 'ERR_OUT_OF_RANGE', (call) => call.listen({ path: 'a'.repeat(200) })],
  ['a NUL in a path', 'ERR_OUT_OF_RANGE', (call) => call.listen({ path: '/tmp/a\0b' })],
  ['a backlog of -2', 'ERR_OUT_OF_RANGE', (call) => call.listen({ ...anyPort, backlog: -2 })],
  ['reusePort 1', 'ERR_INVALID_ARG_TYPE', (call) => call.listen({ ...anyPort, reusePort: 1 as never })],
  ['a negative fd', 'ERR_OUT_OF_RANGE', (call) => call.accept(-1)],
  ['a fd of text', 'ERR_INVALID_ARG_TYPE', (call) => call.close('3' as never)],
  ['NaN for a fd', 'ERR_OUT_OF_RANGE', (call) => call.close(Number.NaN)],
  ['an array', 'ERR_INVALID_ARG_TYPE', (call) => call.read(0, [1, 2] as never)],
  ['other words', 'ERR_INVALID_ARG_TYPE', (call) => call.read(0, new Uint16Array(4) as never)],
  ['shared memory', 'ERR_INVALID_ARG_TYPE', (call) => call.read(0, shared)],
  ['an offset beyond', 'ERR_OUT_OF_RANGE', (call) => call.write(0, Buffer.alloc(4), 5)],
  ['a length beyond', 'ERR_OUT_OF_RANGE', (call) => call.write(0, Buffer.alloc(4), 2, 3)],
  ['a direction', 'ERR_OUT_OF_RANGE', (call) => call.shutdown(0, 'up' as never)],
  ['an option', 'ERR_OUT_OF_RANGE', (call) => call.setOption(0, 'toString' as never, true)],
  ['a switch of 1', 'ERR_INVALID_ARG_TYPE', (call) => call.setOption(0, 'noDelay', 1 as never)],
  ['a count of true', 'ERR_INVALID_ARG_TYPE', (call) => call.setOption(0, 'sendBuffer', true as never)],
  ['a time of -1', 'ERR_OUT_OF_RANGE', (call) => call.setOption(0, 'linger', -1)],
  ['a time too long', 'ERR_OUT_OF_RANGE', (call) => call.setOption(0, 'linger', 1e12)],
  ['nonblocking 0', 'ERR_INVALID_ARG_TYPE', (call) => call.setNonblocking(0, 0 as never)],
]

test.each(refusals)('%s is refused: %s', (_what, code, call) => {
  const before = openDescriptors()
  expect(thrown(() => call(socket))).toMatchObject({ name: 'EventError', code })
  expect(openDescriptors()).toBe(before)
})
