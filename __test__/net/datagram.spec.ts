import { createSocket, type Socket } from 'node:dgram'
import { constants } from 'node:os'

import { expect, onTestFinished, test } from 'vitest'

import { EV } from '../../index.js'
import { DatagramBatch, socket, type InternetAddress } from '../../net.js'
import { refusal } from '../support/errors.js'
import { anyPort, folder, LOOPBACK, openDescriptors, pattern, running, thrown, until } from './support.js'

function bind(host = LOOPBACK): { fd: number; address: InternetAddress } {
  const fd = socket.bindDatagram({ host, port: 0 })
  onTestFinished(() => socket.close(fd))
  return { fd, address: socket.address(fd) as InternetAddress }
}

async function client(host = LOOPBACK): Promise<Socket> {
  const made = createSocket(host === LOOPBACK ? 'udp4' : 'udp6')
  onTestFinished(() => void made.close())
  await new Promise<void>((resolve) => {
    made.bind(0, host, resolve)
  })
  return made
}

/** Receives `count` datagrams. */
async function receive(fd: number, count: number, batch = new DatagramBatch()): Promise<[string, unknown][]> {
  const all: [string, unknown][] = []
  await until(() => {
    while (socket.receiveMany(fd, batch) > 0) {
      for (let index = 0; index < batch.count; index++) {
        all.push([batch.bytes(index).toString('latin1'), batch.address(index)])
      }
    }
    return all.length >= count
  })
  return all
}

test('a received batch has the bytes, the order and the senders', async () => {
  for (const host of [LOOPBACK, '::1']) {
    const { fd, address } = bind(host)
    expect(address).toMatchObject({ host, family: host === LOOPBACK ? 'IPv4' : 'IPv6' })
    const far = await client(host)
    for (let index = 0; index < 20; index++) far.send(String(index), address.port, host)
    const { port } = far.address()
    const from = { host, port, family: address.family }
    const wanted = Array.from({ length: 20 }, (_, index) => [String(index), from])
    expect(await receive(fd, 20, new DatagramBatch({ slots: 8 }))).toEqual(wanted)
    expect(socket.receiveMany(fd, new DatagramBatch())).toBe(-1)
  }
})

test('a received batch is returned to its senders, in one call', async () => {
  const { fd, address } = bind()
  const clients = [await client(), await client()]
  const echoes = clients.map(() => [] as string[])
  clients.forEach((far, index) => far.on('message', (bytes) => echoes[index]?.push(String(bytes))))
  const batch = new DatagramBatch()
  for (const [index, far] of clients.entries()) {
    for (const text of ['a', '', 'c']) far.send(`${text}${text && index}`, address.port, LOOPBACK)
  }
  let echoed = 0
  await until(() => {
    if (socket.receiveMany(fd, batch) > 0) echoed += socket.sendMany(fd, batch)
    return echoed === 6
  })
  await until(() => echoes.every((texts) => texts.length === 3))
  expect(echoes).toEqual([
    ['a0', '', 'c0'],
    ['a1', '', 'c1'],
  ])
})

test('a datagram longer than its slot is truncated, and reported as such', async () => {
  const { fd, address } = bind()
  const from = socket.connectDatagram(address)
  onTestFinished(() => socket.close(from))
  const large = new DatagramBatch({ size: 9000 })
  const bytes = pattern(9000, 1)
  for (const length of [63, 64, 65, 9000, 0]) large.add(bytes.subarray(0, length))
  expect(socket.sendMany(from, large)).toBe(5)
  const small = new DatagramBatch({ size: 64 })
  const received: [number, boolean][] = []
  await until(() => {
    if (socket.receiveMany(fd, small) < 0) return false
    for (let index = 0; index < small.count; index++) {
      const length = small.length(index)
      received.push([length, small.truncated(index)])
      expect(small.bytes(index).equals(bytes.subarray(0, length))).toBe(true)
      expect(small.data.subarray(index * 64, index * 64 + length).equals(small.bytes(index))).toBe(true)
    }
    return received.length === 5
  })
  expect(received).toEqual([
    [63, false],
    [64, false],
    [64, true],
    [64, true],
    [0, false],
  ])
})

test('a batch is filled slot by slot, each for its own address', async () => {
  const [here, first, second] = [bind('::1'), bind('::1'), bind('::1')]
  const batch = new DatagramBatch({ slots: 3, size: 5 })
  expect(batch.count).toBe(0)
  expect(batch.add(Buffer.from('one'), first.address)).toBe(true)
  expect(batch.add(new Uint8Array(0), second.address)).toBe(true)
  expect(batch.add(Buffer.from('three'), first.address)).toBe(true)
  expect(batch.add(Buffer.from('four'), first.address)).toBe(false)
  expect([batch.count, batch.address(1), batch.truncated(1)]).toEqual([3, second.address, false])
  expect(socket.sendMany(here.fd, batch, 1, 2)).toBe(1)
  expect(socket.sendMany(here.fd, batch, 2)).toBe(1)
  expect(socket.sendMany(here.fd, batch, 3)).toBe(0)
  expect(await receive(first.fd, 1)).toEqual([['three', here.address]])
  expect(await receive(second.fd, 1)).toEqual([['', here.address]])
  batch.clear()
  expect(batch.count).toBe(0)
})

test('a connected socket reports ECONNREFUSED if no socket receives', async () => {
  const gone = socket.bindDatagram({ host: 'localhost', port: 0 })
  const address = socket.address(gone) as InternetAddress
  expect(address.host).toBe(LOOPBACK)
  const fd = socket.connectDatagram(address)
  onTestFinished(() => socket.close(fd))
  expect(socket.peer(fd)).toEqual(address)
  socket.close(gone)
  const batch = new DatagramBatch()
  batch.add(Buffer.from('hello'))
  expect(batch.address(0)).toBeUndefined()
  expect(socket.sendMany(fd, batch)).toBe(1)
  let failure: unknown
  await until(() => {
    try {
      socket.receiveMany(fd, batch)
    } catch (error) {
      failure = error
    }
    return failure !== undefined
  })
  expect(failure).toMatchObject({ code: 'ECONNREFUSED', errno: -constants.errno.ECONNREFUSED, fd })
  expect(batch.count).toBe(0)
})

test('a loop dispatches datagrams', async () => {
  const base = await running()
  const { fd, address } = bind()
  const batch = new DatagramBatch()
  const received: string[] = []
  const event = base.newEvent(fd, EV.READ | EV.PERSIST, () => {
    while (socket.receiveMany(fd, batch) > 0) {
      for (let index = 0; index < batch.count; index++) received.push(String(batch.bytes(index)))
    }
  })
  event.add()
  const far = await client()
  for (const text of ['one', 'two', 'three']) far.send(text, address.port, LOOPBACK)
  await until(() => received.length === 3)
  expect(received).toEqual(['one', 'two', 'three'])
  event.close()
})

/** Bytes of buffers that are alive. */
function held(): number {
  globalThis.gc?.()
  const { external, arrayBuffers } = process.memoryUsage()
  return external + arrayBuffers
}

test('receiving repeatedly uses no more memory', () => {
  const { fd, address } = bind()
  const from = socket.connectDatagram(address)
  onTestFinished(() => socket.close(from))
  const [out, back] = [new DatagramBatch(), new DatagramBatch()]
  for (let index = 0; index < out.slots; index++) out.add(Buffer.alloc(100, index))
  const rounds = (count: number): void => {
    for (let round = 0; round < count; round++) {
      if (socket.sendMany(from, out) !== out.slots) throw new Error('not all were taken')
      for (let left = out.slots; left > 0; left -= back.count) socket.receiveMany(fd, back)
    }
  }
  rounds(100)
  const before = held()
  rounds(1000)
  expect(held()).toBeLessThan(before + 65_536)
})

test('ports are shared if both sockets allow it, and refused otherwise', () => {
  const before = openDescriptors()
  const first = socket.bindDatagram({ ...anyPort, reusePort: true })
  const { port } = socket.address(first) as InternetAddress
  const second = socket.bindDatagram({ host: LOOPBACK, port, reusePort: true })
  expect(thrown(() => socket.bindDatagram({ host: LOOPBACK, port }))).toMatchObject({
    code: 'EADDRINUSE',
    syscall: 'bind',
    address: LOOPBACK,
    port,
  })
  socket.close(first)
  socket.close(second)
  expect(openDescriptors()).toBe(before)
})

test('an IPv6 socket receives IPv4 datagrams, unless ipv6Only is set', async () => {
  const both = socket.bindDatagram({ host: '::', port: 0 })
  const { port } = socket.address(both) as InternetAddress
  const far = await client()
  far.send('hello', port, LOOPBACK)
  const from = { host: `::ffff:${LOOPBACK}`, port: far.address().port, family: 'IPv6' }
  expect(await receive(both, 1)).toEqual([['hello', from]])
  socket.close(both)
  const only = socket.bindDatagram({ host: '::', port, ipv6Only: true })
  // The IPv6 socket leaves the port free for IPv4.
  socket.close(socket.bindDatagram({ host: LOOPBACK, port }))
  socket.close(only)
})

test('peek() leaves the bytes in the socket', () => {
  const [near, far] = socket.pair()
  const buffer = Buffer.alloc(8)
  expect(socket.peek(near, buffer)).toBe(-1)
  socket.write(far, Buffer.from('hello'))
  expect(socket.peek(near, buffer, 1, 3)).toBe(3)
  expect(buffer.toString('latin1', 0, 4)).toBe('\0hel')
  expect(socket.peek(near, buffer)).toBe(5)
  expect(socket.read(near, buffer)).toBe(5)
  expect(buffer.toString('latin1', 0, 5)).toBe('hello')
  socket.close(far)
  expect(socket.peek(near, buffer)).toBe(0)
  socket.close(near)
  expect(thrown(() => socket.peek(near, buffer))).toMatchObject({ code: 'EBADF', syscall: 'recv', fd: near })
  const [pipe, writer] = socket.pipe()
  expect(thrown(() => socket.peek(pipe, buffer))).toMatchObject({ code: 'ENOTSOCK', syscall: 'recv' })
  socket.close(pipe)
  socket.close(writer)
})

const shared = new Uint8Array(new SharedArrayBuffer(4))
const batch = new DatagramBatch({ slots: 2, size: 4 })
batch.add(Buffer.from('x'))
const here = { host: LOOPBACK, port: 1 }
const refusals: [string, string, () => unknown][] = [
  ['a name to bind', 'ERR_OUT_OF_RANGE', () => socket.bindDatagram({ host: 'example.com', port: 0 })],
  ['a path to bind', 'ERR_OUT_OF_RANGE', () => socket.bindDatagram({ path: folder() } as never)],
  ['no target', 'ERR_INVALID_ARG_TYPE', () => socket.connectDatagram(undefined as never)],
  ['a port too high', 'ERR_OUT_OF_RANGE', () => socket.connectDatagram({ host: LOOPBACK, port: 65_536 })],
  ['reusePort 1', 'ERR_INVALID_ARG_TYPE', () => socket.bindDatagram({ ...here, reusePort: 1 as never })],
  ['ipv6Only 1', 'ERR_INVALID_ARG_TYPE', () => socket.bindDatagram({ ...here, ipv6Only: 1 as never })],
  ['options of text', 'ERR_INVALID_ARG_TYPE', () => new DatagramBatch('16' as never)],
  ['no slot', 'ERR_OUT_OF_RANGE', () => new DatagramBatch({ slots: 0 })],
  ['too many slots', 'ERR_OUT_OF_RANGE', () => new DatagramBatch({ slots: 65 })],
  ['no size', 'ERR_OUT_OF_RANGE', () => new DatagramBatch({ size: 0 })],
  ['too large a size', 'ERR_OUT_OF_RANGE', () => new DatagramBatch({ size: 65_536 })],
  ['bytes too many', 'ERR_OUT_OF_RANGE', () => batch.add(Buffer.alloc(5))],
  ['bytes of text', 'ERR_INVALID_ARG_TYPE', () => batch.add('x' as never)],
  ['a name to send to', 'ERR_OUT_OF_RANGE', () => batch.add(Buffer.alloc(1), { host: 'a.example', port: 1 })],
  ['a path to send to', 'ERR_OUT_OF_RANGE', () => batch.add(Buffer.alloc(1), { path: '/x' } as never)],
  ['an index beyond', 'ERR_OUT_OF_RANGE', () => batch.length(1)],
  ['an index below', 'ERR_OUT_OF_RANGE', () => batch.bytes(-1)],
  ['an index of text', 'ERR_INVALID_ARG_TYPE', () => batch.address('0' as never)],
  ['half an index', 'ERR_OUT_OF_RANGE', () => batch.truncated(0.5)],
  ['no batch', 'ERR_INVALID_ARG_TYPE', () => socket.receiveMany(0, undefined as never)],
  ['another object', 'ERR_INVALID_ARG_TYPE', () => socket.sendMany(0, { count: 1 } as never)],
  ['a negative fd', 'ERR_OUT_OF_RANGE', () => socket.receiveMany(-1, new DatagramBatch())],
  ['a fd of text', 'ERR_INVALID_ARG_TYPE', () => socket.sendMany('1' as never, batch)],
  ['from beyond', 'ERR_OUT_OF_RANGE', () => socket.sendMany(0, batch, 2)],
  ['to before from', 'ERR_OUT_OF_RANGE', () => socket.sendMany(0, batch, 1, 0)],
  ['to beyond', 'ERR_OUT_OF_RANGE', () => socket.sendMany(0, batch, 0, 2)],
  ['an array to peek into', 'ERR_INVALID_ARG_TYPE', () => socket.peek(0, [1] as never)],
  ['shared memory to peek into', 'ERR_INVALID_ARG_TYPE', () => socket.peek(0, shared)],
  ['an offset beyond', 'ERR_OUT_OF_RANGE', () => socket.peek(0, Buffer.alloc(4), 5)],
]

test.each(refusals)('%s is refused: %s', (_what, code, call) => {
  const before = openDescriptors()
  expect(thrown(call)).toMatchObject({ name: 'EventError', code })
  expect(openDescriptors()).toBe(before)
  expect(batch.count).toBe(1)
})

test('a descriptor that is not a datagram socket is refused by the system', () => {
  const sendable = new DatagramBatch({ slots: 1 })
  sendable.add(Buffer.from('x'))
  const [pipe, writer] = socket.pipe()
  const empty = new DatagramBatch()
  expect(thrown(() => socket.receiveMany(pipe, empty))).toMatchObject({ code: 'ENOTSOCK', fd: pipe })
  expect(thrown(() => socket.sendMany(writer, sendable))).toMatchObject({ code: 'ENOTSOCK', fd: writer })
  socket.close(pipe)
  socket.close(writer)
  expect(thrown(() => socket.receiveMany(pipe, empty))).toMatchObject({ code: 'EBADF', fd: pipe })
})

test('a batch whose memory was transferred is refused', () => {
  const given = new DatagramBatch({ slots: 1 })
  given.add(Buffer.from('x'))
  structuredClone(given.data.buffer, { transfer: [given.data.buffer as ArrayBuffer] })
  const { fd } = bind()
  expect(thrown(() => socket.sendMany(fd, given))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  expect(thrown(() => socket.receiveMany(fd, given))).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
})

test('a getter of a destination that changes the bytes or the batch loses no code', () => {
  const { address } = bind()
  const own = new DatagramBatch({ slots: 1, size: 10 })
  const bytes = new Uint8Array(8)
  const transfers = {
    ...address,
    get port() {
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
      return address.port
    },
  }
  expect(own.add(bytes, transfers)).toBe(true)
  expect(own.length(0)).toBe(0)

  own.clear()
  const adds = {
    ...address,
    get port() {
      own.add(Buffer.from('first'))
      return address.port
    },
  }
  expect(own.add(Buffer.from('second'), adds)).toBe(false)
  expect(own.bytes(0).toString()).toBe('first')
})

test('a batch whose memory was transferred accepts and returns no datagram', () => {
  const own = new DatagramBatch({ slots: 2, size: 10 })
  own.add(Buffer.from('x'))
  structuredClone(own.data.buffer, { transfer: [own.data.buffer as ArrayBuffer] })
  expect(refusal(() => own.add(Buffer.from('y')))).toBe('ERR_OUT_OF_RANGE')
  expect(refusal(() => own.bytes(0))).toBe('ERR_OUT_OF_RANGE')
  expect(own.length(0)).toBe(1)
})
