import { setImmediate } from 'node:timers/promises'

import { describe, expect, test } from 'vitest'

import { EV, type EventBase } from '../../index.js'
import { connect, listen, relay, socket, type Relay, type RelayEnd, type RelayOptions } from '../../net.js'
import {
  anyPort,
  baseOn,
  closedPort,
  connection,
  deferred,
  dial,
  drain,
  everyMethod,
  LOOPBACK,
  openDescriptors,
  openRelay,
  pattern,
  portOf,
  running,
  serve,
  silentPort,
  sleep,
  thrown,
  until,
} from './support.js'

/** Two relays, each of which passes on to the other one what it receives, for ever. Returns the first. */
function openRing(base: EventBase): Relay {
  const [[one, two], [three, four]] = [socket.pair(), socket.pair()]
  socket.write(one, Buffer.alloc(100))
  const first = relay(base, two, three)
  relay(base, four, one)
  return first
}

describe.each(everyMethod)('on %s', (method) => {
  test('a paused relay reads nothing, and continues where it stopped', async () => {
    const base = await running(method)
    const { a, b, pipe, ended } = await openRelay(base, { idleTimeout: 30 })
    pipe.pause()
    pipe.pause()
    expect(pipe.paused).toBe(true)
    a.far.end('question')
    b.far.end('answer')
    // Much longer than the idle timeout, which does not run while the relay is paused.
    await sleep(200)
    expect(pipe.closed).toBe(false)
    expect(pipe.stats).toMatchObject({ bytesAToB: 0, bytesBToA: 0 })
    pipe.resume()
    pipe.resume()
    expect(pipe.paused).toBe(false)
    expect(String(await drain(b.far))).toBe('question')
    expect(String(await drain(a.far))).toBe('answer')
    expect(await ended).toMatchObject({ reason: 'end', bytesAToB: 8, bytesBToA: 6 })
    pipe.pause()
    pipe.resume()
    expect(pipe.paused).toBe(false)
  })

  test('relays that are always ready leave time for the host', async () => {
    const base = baseOn(method)
    const pipe = openRing(base)
    // Ends a run in which the host never continues.
    let isStarved = false
    base
      .newTimer(() => {
        isStarved = true
        base.loopBreak()
      })
      .add(10_000)
    const run = base.run()
    await until(() => pipe.stats.bytesAToB > 100_000)
    expect(isStarved).toBe(false)
    base.loopBreak()
    await run
  })

  test('one iteration of the host takes a limited number of steps', async () => {
    const base = baseOn(method)
    const pipe = openRing(base)
    const run = base.run()
    const moved: number[] = []
    // Each step passes the same bytes on.
    while (moved.length < 10) {
      const before = pipe.stats.bytesAToB
      await setImmediate()
      const count = (pipe.stats.bytesAToB - before) / 100
      if (count > 0) moved.push(count)
    }
    expect(Math.max(...moved)).toBeLessThanOrEqual(1000)
    base.loopBreak()
    await run
  })

  test('the prefix of each direction is sent before the bytes that the relay reads', async () => {
    const base = await running(method)
    const aToB = pattern(300_000, 1)
    const prefix = { aToB, bToA: Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n') }
    const { a, b, ended } = await openRelay(base, { prefix })
    const wanted = Buffer.concat([aToB, Buffer.from('and more')])
    // The relay has copied the prefix.
    aToB.fill(0)
    a.far.end('and more')
    b.far.end('hello')
    expect((await drain(b.far)).equals(wanted)).toBe(true)
    expect(String(await drain(a.far))).toBe(`${prefix.bToA}hello`)
    const { reason, bytesAToB, bytesBToA } = await ended
    expect([reason, bytesAToB, bytesBToA]).toEqual(['end', 300_008, prefix.bToA.length + 5])
  })

  test('a relay waits for a connect in progress', async () => {
    const base = await running(method)
    const port = await serve((peer) => {
      void drain(peer).then((request) => peer.end(`${request} indeed`))
    })
    const ended = deferred<RelayEnd>()
    const a = await connection()
    const there = socket.connect({ host: LOOPBACK, port })
    const prefix = { bToA: Buffer.from('connected: ') }
    relay(base, a.fd, there, { connectTimeout: 60_000, prefix }, ended.resolve)
    a.far.end('hello')
    expect(String(await drain(a.far))).toBe('connected: hello indeed')
    expect(await ended.promise).toMatchObject({ reason: 'end', bytesAToB: 5, bytesBToA: 23 })
  })

  test('a refused connect, and a host that does not answer, end the relay with the error of the connect', async () => {
    const base = await running(method)
    const silent = await silentPort()
    const before = openDescriptors()
    for (const [port, code, connectTimeout] of [
      [closedPort(), 'ECONNREFUSED', 0],
      [silent, 'ETIMEDOUT', 40],
    ] as const) {
      const a = await connection()
      const broken = deferred<Error>()
      a.far.once('error', broken.resolve)
      const there = socket.connect({ host: LOOPBACK, port })
      const ended = deferred<RelayEnd>()
      const pipe = relay(
        base,
        a.fd,
        there,
        { connectTimeout, prefix: { bToA: Buffer.from('ok') } },
        ended.resolve,
      )
      const end = await ended.promise
      expect(end).toMatchObject({ reason: 'error', bytesAToB: 0, bytesBToA: 0 })
      expect(end.error).toMatchObject({ code, syscall: 'connect', fd: there })
      expect(pipe.closed).toBe(true)
      expect(await broken.promise).toMatchObject({ code: 'ECONNRESET' })
      a.far.destroy()
    }
    await until(() => openDescriptors() === before, 'every descriptor to be closed')
  })

  test('all bytes arrive, with every kind of transfer', async () => {
    const base = await running(method)
    for (const transfer of ['adaptive', 'copy', 'splice'] as const) {
      const { a, b, ended } = await openRelay(base, { transfer })
      const [there, back] = [pattern(3_000_000, 1), pattern(1_000_000, 2)]
      a.far.end(there)
      b.far.end(back)
      const [atB, atA] = await Promise.all([drain(b.far), drain(a.far)])
      expect(atB.equals(there)).toBe(true)
      expect(atA.equals(back)).toBe(true)
      const { bytesSpliced } = await ended
      if (transfer === 'copy') expect(bytesSpliced).toBe(0)
      if (transfer === 'splice' && process.platform === 'linux') expect(bytesSpliced).toBeGreaterThan(0)
    }
  })
})

test('a relay that has failed can be paused, resumed, queried and closed before onEnd is called', () => {
  const base = baseOn()
  const before = openDescriptors()
  const ends: RelayEnd[] = []
  for (const closing of [false, true]) {
    const [near, far] = socket.pair()
    const there = socket.connect({ host: LOOPBACK, port: closedPort() })
    // The descriptor is writable once the connect has completed.
    base.newEvent(there, EV.WRITE, () => {}).add()
    base.dispatch()
    const pipe = relay(base, near, there, {}, (end) => ends.push(end))
    pipe.pause()
    pipe.resume()
    expect(pipe.stats).toMatchObject({ bytesAToB: 0, bytesBToA: 0 })
    if (closing) pipe.close()
    base.dispatch()
    expect(pipe.closed).toBe(true)
    socket.close(far)
  }
  expect(ends.map(({ reason }) => reason)).toEqual(['error', 'error'])
  expect(ends[0]?.error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect' })
  expect(openDescriptors()).toBe(before)
})

test('pipes are closed with the last relay', async () => {
  const base = await running()
  const before = openDescriptors()
  const { a, b, ended } = await openRelay(base, { transfer: 'splice' })
  a.far.end(pattern(2_000_000, 1))
  b.far.end()
  expect((await drain(b.far)).length).toBe(2_000_000)
  expect((await ended).reason).toBe('end')
  for (const { far } of [a, b]) far.destroy()
  await until(() => openDescriptors() === before, 'every descriptor to be closed')
})

/** What `onEnd` may do to its own relay, and to another one. */
const actions: [string, (own: Relay, other: Relay, base: EventBase) => void][] = [
  ['closes both', (own, other) => [own, other].forEach((pipe) => pipe.close())],
  ['pauses and resumes both', (own, other) => [own, other].forEach((pipe) => (pipe.pause(), pipe.resume()))],
  ['closes the base', (_own, _other, base) => base.close()],
]

test.each(actions)('an onEnd that %s is called once', async (_what, action) => {
  const before = openDescriptors()
  const base = await running()
  const [a, b, c, d] = [await connection(), await connection(), await connection(), await connection()]
  let calls = 0
  let callsOfOther = 0
  const other = relay(base, c.fd, d.fd, {}, () => callsOfOther++)
  const own: Relay = relay(base, a.fd, b.fd, {}, () => {
    calls++
    action(own, other, base)
  })
  a.far.end()
  b.far.end()
  await until(() => calls === 1, 'the end')
  c.far.end()
  d.far.end()
  await until(() => other.closed, 'the end of the other relay')
  await sleep(10)
  expect([calls, callsOfOther <= 1, own.closed]).toEqual([1, true, true])
  base.close()
  for (const { far } of [a, b, c, d]) far.destroy()
  await until(() => openDescriptors() <= before, 'every descriptor to be closed')
})

test('a proxy needs no callback between accepting and relaying', async () => {
  const base = await running()
  const port = await serve((peer) => peer.pipe(peer))
  const listener = listen(base, anyPort, (fd) => {
    relay(base, fd, socket.connect({ host: LOOPBACK, port }), { connectTimeout: 60_000 })
  })
  const client = await dial(portOf(listener.address))
  client.end('there and back')
  expect(String(await drain(client))).toBe('there and back')
})

const wrong: [string, string, RelayOptions][] = [
  ['a negative time', 'ERR_OUT_OF_RANGE', { connectTimeout: -1 }],
  ['text for a time', 'ERR_INVALID_ARG_TYPE', { connectTimeout: '5' as never }],
  ['a prefix of text', 'ERR_INVALID_ARG_TYPE', { prefix: 'hello' as never }],
  ['text in a prefix', 'ERR_INVALID_ARG_TYPE', { prefix: { aToB: 'hello' as never } }],
  ['an array in a prefix', 'ERR_INVALID_ARG_TYPE', { prefix: { bToA: [1, 2] as never } }],
  ['a transfer of magic', 'ERR_OUT_OF_RANGE', { transfer: 'magic' as never }],
  ['a group of {}', 'ERR_INVALID_ARG_TYPE', { group: {} as never }],
]

test.each(wrong)('%s is refused: %s, and the caller keeps the descriptors', (_what, code, options) => {
  const base = baseOn()
  const [a, b] = socket.pair()
  expect(thrown(() => relay(base, a, b, options))).toMatchObject({ name: 'EventError', code })
  expect(socket.write(a, Buffer.from('x'))).toBe(1)
  socket.close(a)
  socket.close(b)
})

test('a connection that JavaScript made is relayed with the bytes that JavaScript read', async () => {
  const base = await running()
  const port = await serve((peer) => peer.pipe(peer))
  const a = await connection()
  a.far.write('peeked at, ')
  const head = Buffer.alloc(64)
  let count = -1
  await until(() => (count = socket.read(a.fd, head)) > 0, 'the first bytes')
  const there = await connect(base, { host: LOOPBACK, port })
  relay(base, a.fd, there, { prefix: { aToB: head.subarray(0, count) } })
  a.far.end('passed on')
  expect(String(await drain(a.far))).toBe('peeked at, passed on')
})
