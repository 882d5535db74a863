import { AsyncLocalStorage } from 'node:async_hooks'

import { describe, expect, test } from 'vitest'

import { EventBase, LoopResult } from '../../index.js'
import { connect, listen, relay, socket, type RelayEnd } from '../../net.js'
import { atSomePace } from '../support/base.js'
import {
  anyPort,
  baseOn,
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
  readToReset,
  running,
  serve,
  until,
} from './support.js'

describe.each(everyMethod)('on %s', (method) => {
  test('bytes pass in both directions at the same time, and each end is forwarded', async () => {
    const base = await running(method)
    const { a, b, pipe, ended } = await openRelay(base)
    const [there, back] = [pattern(7_000_000, 1), pattern(5_000_000, 2)]
    a.far.end(there)
    b.far.end(back)
    const [atB, atA] = await Promise.all([drain(b.far), drain(a.far)])
    expect(atB.equals(there)).toBe(true)
    expect(atA.equals(back)).toBe(true)
    const end = await ended
    expect(end).toEqual({
      bytesAToB: 7_000_000,
      bytesBToA: 5_000_000,
      bytesSpliced: expect.any(Number),
      durationMs: expect.any(Number),
      reason: 'end',
    })
    expect(pipe.closed).toBe(true)
    expect(pipe.stats).toMatchObject({ bytesAToB: 7_000_000, bytesBToA: 5_000_000, heldAToB: 0, heldBToA: 0 })
    expect(pipe.stats.durationMs).toBe(end.durationMs)
  })

  test('a reply after the end of the request arrives', async () => {
    const base = await running(method)
    const port = await serve((peer) => {
      void drain(peer).then((request) => peer.end(`${request.length} bytes`))
    })
    const ends: RelayEnd[] = []
    const listener = listen(base, anyPort, async (fd) => {
      relay(base, fd, await connect(base, { host: LOOPBACK, port }), {}, (end) => ends.push(end))
    })
    const clients = await Promise.all(Array.from({ length: 50 }, () => dial(portOf(listener.address))))
    const replies = await Promise.all(
      clients.map((client, index) => {
        client.end(pattern(index * 1000, index))
        return drain(client)
      }),
    )
    expect(replies.map(String)).toEqual(clients.map((_, index) => `${index * 1000} bytes`))
    await until(() => ends.length === 50)
    expect(ends.every(({ reason }) => reason === 'end')).toBe(true)
  })

  test('a slow reader slows its writer', async () => {
    const base = await running(method)
    const { a, b, pipe } = await openRelay(base)
    b.far.pause()
    const bytes = pattern(40_000_000, 3)
    let taken = false
    a.far.end(bytes, () => (taken = true))
    await until(() => pipe.stats.heldAToB > 0, 'back-pressure')
    let stuck = pipe.stats
    let still = 0
    await until(() => {
      const { stats } = pipe
      still = stats.bytesAToB === stuck.bytesAToB ? still + 1 : 0
      stuck = stats
      return still === 50
    }, 'an end of the moving')
    expect(stuck.heldAToB).toBeLessThanOrEqual(256 * 1024)
    expect(taken).toBe(false)
    const received = await drain(b.far)
    expect(received.equals(bytes)).toBe(true)
    pipe.close()
  })

  test('a relay without traffic ends at its idle timeout', async () => {
    const base = await running(method)
    const { a, b, ended } = await openRelay(base, { idleTimeout: 60 })
    const received = Promise.all([readToReset(a.far), readToReset(b.far)])
    const end = await ended
    expect(end.reason).toBe('idle')
    expect(end.durationMs).toBeGreaterThanOrEqual(60)
    expect(end.durationMs).toBeLessThan(60_000)
    expect((await received).map((bytes) => bytes.length)).toEqual([0, 0])
  })

  test('a limit applies to each direction', async () => {
    const base = await running(method)
    await atSomePace(async (pace) => {
      const { a, b, ended } = await openRelay(base, { limit: { rate: 500_000 / pace, burst: 25_000 } })
      a.far.end(pattern(100_000, 1))
      b.far.end(pattern(100_000, 2))
      await Promise.all([drain(a.far), drain(b.far)])
      const { durationMs } = await ended
      // 25 000 bytes immediately, then 75 000 at 500 per millisecond. With shared tokens it takes more than twice as long.
      expect(durationMs).toBeGreaterThanOrEqual(148 * pace)
      return durationMs < 290 * pace
    })
  })
})

test('close() closes both descriptors immediately, and onEnd is called once, in the loop', async () => {
  const base = baseOn()
  const before = openDescriptors()
  const [near, far] = [socket.pair(), socket.pair()]
  const ends: RelayEnd[] = []
  const pipe = relay(base, near[0], far[0], { idleTimeout: 1000 }, (end) => ends.push(end))
  pipe.close()
  pipe.close()
  expect([pipe.closed, ends.length]).toEqual([true, 0])
  expect(socket.read(near[1], Buffer.alloc(1))).toBe(0)
  expect(socket.read(far[1], Buffer.alloc(1))).toBe(0)
  expect(base.dispatch()).toBe(LoopResult.EMPTY)
  expect(ends).toMatchObject([{ reason: 'closed', bytesAToB: 0, bytesBToA: 0 }])
  pipe.close()
  socket.close(near[1])
  socket.close(far[1])
  expect(openDescriptors()).toBe(before)
})

test('a relay runs in a blocking loop, and closing it in a callback ends the loop', () => {
  const base = baseOn()
  const [near, far] = [socket.pair(), socket.pair()]
  const ends: RelayEnd[] = []
  const pipe = relay(base, near[0], far[0], undefined, (end) => ends.push(end))
  const message = pattern(100_000, 4)
  expect(socket.write(near[1], message)).toBe(message.length)
  const received = Buffer.alloc(message.length)
  let count = 0
  const reading = base
    .newEvent(far[1], 0x02 | 0x10, () => {
      count += Math.max(socket.read(far[1], received, count), 0)
      if (count < message.length) return
      reading.close()
      pipe.close()
    })
    .add()
  expect(base.dispatch()).toBe(LoopResult.EMPTY)
  expect(received.equals(message)).toBe(true)
  expect(ends).toMatchObject([{ reason: 'closed', bytesAToB: message.length }])
  for (const fd of [near[1], far[1]]) socket.close(fd)
})

test('onEnd is called in the asynchronous context of relay()', async () => {
  const base = await running()
  const storage = new AsyncLocalStorage<string>()
  const [a, b] = [await connection(), await connection()]
  const seen = deferred<string | undefined>()
  storage.run('here', () => relay(base, a.fd, b.fd, {}, () => seen.resolve(storage.getStore())))
  a.far.end()
  b.far.end()
  expect(await seen.promise).toBe('here')
})

test('hundreds of successive relays leave no descriptor open', async () => {
  const base = await running()
  const before = openDescriptors()
  for (let round = 0; round < 300; round++) {
    const [near, far] = [socket.pair(), socket.pair()]
    const ended = deferred<RelayEnd>()
    relay(base, near[0], far[0], { idleTimeout: 60_000 }, ended.resolve)
    socket.close(near[1])
    socket.close(far[1])
    expect((await ended.promise).reason).toBe('end')
  }
  expect(openDescriptors()).toBe(before)
})

test('closing the base closes every descriptor, and does not call onEnd', () => {
  const before = openDescriptors()
  const base = new EventBase()
  const [near, far] = [socket.pair(), socket.pair()]
  let isReported = false
  const pipe = relay(base, near[0], far[0], {}, () => (isReported = true))
  base.close()
  expect([pipe.closed, isReported]).toEqual([true, false])
  pipe.close()
  expect(pipe.stats).toMatchObject({ bytesAToB: 0, bytesBToA: 0 })
  socket.close(near[1])
  socket.close(far[1])
  expect(openDescriptors()).toBe(before)
})
