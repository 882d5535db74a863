import { expect, test } from 'vitest'

import { CountFlag, EV, LoopFlag } from '../../index.js'
import { BEV, BufferEvent, socket } from '../../net.js'
import { StickySignal } from '../support/abort.js'
import { readText, openPair, writeText } from '../support/descriptors.js'
import { codeOf, collectUncaught, refusal, rejectionOf } from '../support/errors.js'
import {
  anyPort,
  baseOn,
  closedPort,
  LOOPBACK,
  openDescriptors,
  portOf,
  running,
  silentPort,
  until,
} from './support.js'

/** Records the calls of `onEvent` of a stream that connects. */
function calls(stream: BufferEvent): unknown[] {
  const events: unknown[] = []
  stream.setCallbacks({
    onEvent: (what, _stream, error) => events.push(error === undefined ? what : [what, error]),
  })
  return events
}

test('a name is looked up, and bytes that were written before are sent after the connect', async () => {
  const base = await running()
  const listening = socket.listen(anyPort)
  const stream = new BufferEvent(base, -1)
  const events = calls(stream)
  stream.connect({ host: 'localhost', port: portOf(socket.address(listening)) }).write('by name')
  expect(stream.connecting).toBe(true)
  expect(refusal(() => stream.connect({ host: LOOPBACK, port: 1 }))).toBe('ERR_EVENT_ACTIVE')
  await until(() => events.length > 0)
  expect(events).toEqual([BEV.CONNECTED])
  let server = -1
  await until(() => (server = socket.accept(listening)) !== -1)
  let received: string | undefined
  await until(() => (received = readText(server)) !== undefined)
  expect(received).toBe('by name')
  stream.close()
  for (const fd of [listening, server]) socket.close(fd)
})

test('a failure after a look-up is reported like any other', async () => {
  const base = await running()
  const stream = new BufferEvent(base, -1)
  const events = calls(stream)
  stream.connect({ host: 'localhost', port: closedPort() })
  await until(() => events.length > 0)
  expect(events).toEqual([[BEV.ERROR, expect.objectContaining({ code: 'ECONNREFUSED' })]])
  expect(stream.connecting).toBe(false)
  stream.close()
})

test('a connection that takes too long fails with ETIMEDOUT', async () => {
  const port = await silentPort()
  const base = baseOn()
  const stream = new BufferEvent(base, -1)
  const events = calls(stream)
  const before = openDescriptors()
  stream.connect({ host: LOOPBACK, port }, { timeout: 5 })
  base.dispatch()
  const failure = { code: 'ETIMEDOUT', syscall: 'connect', address: LOOPBACK, port }
  expect(events).toEqual([[BEV.ERROR, expect.objectContaining(failure)]])
  expect(openDescriptors()).toBe(before)
  stream.close()
})

test('the write timeout of a stream that connects is reported, and the attempt continues', async () => {
  const port = await silentPort()
  const base = baseOn()
  const stream = new BufferEvent(base, -1, { writeTimeout: 2 })
  const events = calls(stream)
  stream.connect({ host: LOOPBACK, port }, { timeout: 20 })
  base.dispatch()
  expect(events).toEqual([
    BEV.TIMEOUT | BEV.WRITING,
    [BEV.ERROR, expect.objectContaining({ code: 'ETIMEDOUT' })],
  ])
  stream.close()
})

test('an attempt can be cancelled by its abort signal, and by closing', async () => {
  const port = await silentPort()
  const base = await running()
  const before = openDescriptors()
  const aborter = new AbortController()
  const stream = new BufferEvent(base, -1)
  const events = calls(stream)
  stream.connect({ host: LOOPBACK, port }, { signal: aborter.signal })
  const reason = new Error('given up')
  aborter.abort(reason)
  await until(() => events.length > 0)
  expect(events).toEqual([[BEV.ERROR, reason]])
  stream.connect({ host: LOOPBACK, port }, { signal: new AbortController().signal })
  stream.close()
  const plain = new BufferEvent(base, -1).connect({ host: LOOPBACK, port })
  plain.close()
  await until(() => openDescriptors() <= before)
  expect(events).toHaveLength(1)
  expect(() =>
    new BufferEvent(base, -1).connect({ host: LOOPBACK, port }, { signal: aborter.signal }),
  ).toThrow(reason)
})

test('an abort signal that throws when its listener is removed does not keep a connect from ending', async () => {
  const uncaught = collectUncaught()
  const base = await running()
  const stream = new BufferEvent(base, -1)
  const events = calls(stream)
  const sticky = new StickySignal()
  stream.connect({ host: LOOPBACK, port: closedPort() }, { signal: sticky.signal })
  await until(() => events.length > 0)
  expect(events).toEqual([[BEV.ERROR, expect.objectContaining({ code: 'ECONNREFUSED' })]])
  const reason = new Error('given up')
  const other = new StickySignal()
  const attempt = BufferEvent.connect(
    base,
    { host: LOOPBACK, port: await silentPort() },
    { signal: other.signal },
  )
  const before = openDescriptors()
  other.abort(reason)
  expect(await rejectionOf(attempt)).toBe(reason)
  expect(openDescriptors()).toBe(before - 1)
  await until(() => uncaught.length === 2, 'both exceptions')
  expect(uncaught).toEqual([sticky.failure, other.failure])
  stream.close()
})

test('a stream that connects to itself is refused, and its port is free', () => {
  const base = baseOn()
  const port = closedPort()
  const free = socket.listen(anyPort)
  const own = portOf(socket.address(free))
  socket.close(free)
  expect(own).not.toBe(port)
  const stream = new BufferEvent(base, -1)
  const events = calls(stream)
  stream.connect({ host: LOOPBACK, port: own }, { localPort: own })
  expect(portOf(socket.peer(stream.fd))).toBe(own)
  base.dispatch()
  const failure = { code: 'ECONNREFUSED', syscall: 'connect', address: LOOPBACK, port: own }
  expect(events).toEqual([[BEV.ERROR, expect.objectContaining(failure)]])
  socket.close(socket.listen({ host: LOOPBACK, port: own }))
  stream.close()
})

test('a stream connects from a local address without the loop of the host', () => {
  const base = baseOn()
  const listening = socket.listen(anyPort)
  const stream = new BufferEvent(base, -1)
  const events = calls(stream)
  stream.connect(socket.address(listening), { localAddress: '127.0.0.42' })
  base.dispatch()
  expect(events).toEqual([BEV.CONNECTED])
  expect(socket.address(stream.fd)).toMatchObject({ host: '127.0.0.42' })
  expect(refusal(() => new BufferEvent(base, -1).connect(anyPort, { localPort: -1 }))).toBe(
    'ERR_OUT_OF_RANGE',
  )
  stream.close()
  socket.close(listening)
})

test('a connection that is established when its deadline is dispatched is not late', () => {
  const base = baseOn()
  const listening = socket.listen(anyPort)
  const stream = new BufferEvent(base, -1)
  const events = calls(stream)
  stream.connect(socket.address(listening), { timeout: 60_000 })
  // The deadline is dispatched before the loop polls, as after a pause of the process.
  base.activateByFd(-1, EV.TIMEOUT).loop(LoopFlag.NONBLOCK)
  expect(events).toEqual([BEV.CONNECTED])
  expect(base.countEvents(CountFlag.ADDED)).toBe(0)
  stream.close()
  socket.close(listening)
})

test('a stream whose connect is in progress when readiness is reported waits again', async () => {
  const port = await silentPort()
  const base = baseOn()
  const stream = new BufferEvent(base, -1)
  const events = calls(stream)
  stream.connect({ host: LOOPBACK, port })
  // As after a registration that the system refused while the loop polled.
  base.activateByFd(stream.fd, EV.WRITE).loop(LoopFlag.NONBLOCK)
  expect(events).toEqual([])
  expect(stream.connecting).toBe(true)
  expect(base.events()).toMatchObject([{ fd: stream.fd, what: EV.WRITE | EV.PERSIST }])
  stream.close()
})

test('BufferEvent.connect() resolves with a stream, or rejects and leaves no descriptor open', async () => {
  const base = await running()
  const listening = socket.listen(anyPort)
  const stream = await BufferEvent.connect(base, socket.address(listening), { readLow: 3 })
  expect(stream.watermarks.readLow).toBe(3)
  expect(stream.enabled).toBe(EV.WRITE)
  const before = openDescriptors()
  const failure = await rejectionOf(BufferEvent.connect(base, { host: LOOPBACK, port: closedPort() }))
  expect(failure).toMatchObject({ code: 'ECONNREFUSED' })
  expect(openDescriptors()).toBe(before)
  const refused = await rejectionOf(BufferEvent.connect(base, { host: LOOPBACK, port: -1 }))
  expect(refused).toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
  stream.close()
  socket.close(listening)
})

test('a descriptor that is replaced is closed if the stream owns it', () => {
  const base = baseOn()
  for (const closeOnFree of [true, false]) {
    const [first, firstPeer] = socket.pair()
    const [second, secondPeer] = openPair()
    const stream = new BufferEvent(base, first, { closeOnFree })
    expect(stream.replaceFd(second).replaceFd(second).fd).toBe(second)
    expect(readText(firstPeer)).toBe(closeOnFree ? '' : undefined)
    stream.enable(EV.READ)
    writeText(secondPeer, 'new')
    base.loop(3)
    expect(String(stream.read())).toBe('new')
    stream.setFd(-1)
    stream.close()
    if (!closeOnFree) socket.close(first)
    socket.close(firstPeer)
  }
})

test('settings can be read', () => {
  const [one, other] = BufferEvent.pair(baseOn(), { readTimeout: 5, maxSingleRead: 7, writeLow: 3 })
  expect(one.timeouts).toEqual({ readTimeout: 5, writeTimeout: 0 })
  expect(one.caps).toEqual({ maxSingleRead: 7, maxSingleWrite: 262_144 })
  expect(one.watermarks).toEqual({ readLow: 0, readHigh: 0, writeLow: 3 })
  expect(one.priority).toBe(0)
  expect(one.partner).toBe(other)
  other.close()
  expect(one.partner).toBeUndefined()
  one.close()
})

test('the connection is closed if the base is closed before BufferEvent.connect() settles', async () => {
  const base = baseOn()
  const listening = socket.listen(anyPort)
  const before = openDescriptors()
  const attempt = BufferEvent.connect(base, { host: LOOPBACK, port: portOf(socket.address(listening)) })
  // The blocking loop connects, and no promise settles before it has returned.
  base.dispatch()
  const server = socket.accept(listening)
  expect(server).toBeGreaterThan(-1)
  base.close()
  expect(codeOf(await rejectionOf(attempt))).toBe('ERR_EVENT_CLOSED')
  expect(socket.read(server, Buffer.alloc(1))).toBe(0)
  socket.close(server)
  expect(openDescriptors()).toBeLessThan(before)
  socket.close(listening)
})

test('a stream that a getter of the options closes does not connect', () => {
  const base = baseOn()
  const listening = socket.listen(anyPort)
  const stream = new BufferEvent(base, -1)
  const before = openDescriptors()
  const options = {
    get timeout(): number {
      stream.close()
      return 1000
    },
  }
  const target = { host: LOOPBACK, port: portOf(socket.address(listening)) }
  expect(refusal(() => stream.connect(target, options))).toBe('ERR_EVENT_CLOSED')
  expect(openDescriptors()).toBe(before)
  socket.close(listening)
})
