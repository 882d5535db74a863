import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import { describe, expect, onTestFinished, test } from 'vitest'

import { EV, LoopFlag, LoopResult, type EventBase } from '../../index.js'
import { BEV, BufferEvent, BufferEventGroup, socket, type BufferEventDuplex } from '../../net.js'
import { atSomePace, openBase, until } from '../support/base.js'
import { close, empty, fill, openPair, writeText } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'
import { connection, running } from './support.js'

/** The deadlines of the pending events that have one, in milliseconds from now, in order. */
function deadlines(base: EventBase): number[] {
  return base.events().flatMap(({ expiresAt }) => (expiresAt === undefined ? [] : [expiresAt - base.now()]))
}

function passes(base: EventBase, count = 3): void {
  for (let pass = 0; pass < count; pass += 1) base.loop(LoopFlag.NONBLOCK | LoopFlag.NO_EXIT_ON_EMPTY)
}

/** Records what happens to a stream. */
function watched(stream: BufferEvent): unknown[] {
  const happened: unknown[] = []
  stream.setCallbacks({
    onRead: () => happened.push('read'),
    onWrite: () => happened.push('write'),
    onEvent: (what, _stream, error) =>
      happened.push(error === undefined ? what : [what, (error as NodeJS.ErrnoException).code]),
  })
  return happened
}

/** A Duplex over one end of a TCP connection, both ends of which are read. */
async function openDuplex(): Promise<{
  duplex: BufferEventDuplex
  far: Awaited<ReturnType<typeof connection>>['far']
}> {
  const base = await running()
  const { fd, far } = await connection()
  const duplex = new BufferEvent(base, fd).toDuplex()
  onTestFinished(() => void duplex.destroy())
  far.resume()
  return { duplex: duplex.resume(), far }
}

describe('the deadline of a direction', () => {
  test('of a descriptor changes with the timeout, and only while the direction waits', () => {
    const base = openBase()
    const [near, far] = openPair()
    fill(near)
    const stream = new BufferEvent(base, near, { closeOnFree: false })
    stream.setTimeouts({ readTimeout: 1_000_000, writeTimeout: 1_000_000 })
    expect(deadlines(base)).toEqual([])
    stream.enable(EV.READ).write('waits')
    passes(base)
    expect(deadlines(base)).toHaveLength(2)
    stream.setTimeouts({ readTimeout: 0, writeTimeout: 2_000_000 })
    expect(deadlines(base)).toEqual([expect.closeTo(2_000_000, -5)])
    stream.setTimeouts({ readTimeout: 3_000_000, writeTimeout: 0 })
    expect(deadlines(base)).toEqual([expect.closeTo(3_000_000, -5)])
    stream.disable(EV.READ).setTimeouts({ readTimeout: 1_000_000, writeTimeout: 2_000_000 })
    expect(deadlines(base)).toEqual([expect.closeTo(2_000_000, -5)])
    empty(far)
    passes(base)
    expect(stream.output.length).toBe(0)
    stream.setTimeouts({ writeTimeout: 1_000_000 })
    expect(deadlines(base)).toEqual([])
    stream.close()
  })

  test('of a pair changes with the timeout, and only while the direction waits', () => {
    const base = openBase()
    const [first, second] = BufferEvent.pair(base)
    first.setTimeouts({ readTimeout: 1_000_000, writeTimeout: 1_000_000 })
    expect(deadlines(base)).toEqual([])
    first.enable(EV.READ).write('waits')
    expect(deadlines(base)).toHaveLength(2)
    first.setTimeouts({ readTimeout: 0, writeTimeout: 2_000_000 })
    expect(deadlines(base)).toEqual([expect.closeTo(2_000_000, -5)])
    first.setTimeouts({ readTimeout: 3_000_000, writeTimeout: 0 })
    expect(deadlines(base)).toEqual([expect.closeTo(3_000_000, -5)])
    first.disable(EV.READ)
    expect(deadlines(base)).toEqual([])
    first.setTimeouts({ writeTimeout: 1_000_000 })
    expect(deadlines(base)).toHaveLength(1)
    second.enable(EV.READ)
    expect(String(second.read())).toBe('waits')
    expect(deadlines(base)).toEqual([])
    first.close()
    second.close()
  })

  test('of a reader of a pair restarts when bytes arrive, that of a writer does not restart with a write', () => {
    const base = openBase()
    const [first, second] = BufferEvent.pair(base)
    first.setTimeouts({ writeTimeout: 1_000_000 }).write('one')
    const at = (): number[] => base.events().flatMap(({ expiresAt }) => expiresAt ?? [])
    const [waiting] = at()
    const later = base.monotonic() + 5
    while (base.monotonic() < later);
    base.updateCachedTime()
    first.write('two')
    expect(at()[0]).toBeCloseTo(waiting ?? 0, 0)
    first.setTimeouts({ writeTimeout: 0 })
    second.setTimeouts({ readTimeout: 1_000_000 }).enable(EV.READ)
    const [reading = 0] = at()
    const evenLater = base.monotonic() + 5
    while (base.monotonic() < evenLater);
    base.updateCachedTime()
    first.write('three')
    expect(String(second.read())).toBe('onetwothree')
    expect(at()[0]).toBeGreaterThanOrEqual(reading + 4)
    first.close()
    second.close()
    expect(deadlines(base)).toEqual([])
  })
})

describe('a pair', () => {
  test('calls onWrite once for an end, with bytes before it and without', () => {
    for (const text of [undefined, 'bytes']) {
      const base = openBase()
      const [first, second] = BufferEvent.pair(base)
      const happened = watched(first)
      second.enable(EV.READ)
      first.end(text)
      passes(base)
      expect(happened).toEqual(['write'])
      first.close()
      second.close()
    }
  })

  test('reports output that the other stream will not read when that stream is closed', () => {
    const base = openBase()
    const [first, second] = BufferEvent.pair(base)
    const happened = watched(first)
    first.write('unread')
    second.close()
    passes(base)
    expect(happened).toEqual([[BEV.ERROR | BEV.WRITING, 'EPIPE']])
    expect([first.enabled, first.output.length]).toEqual([0, 6])
    first.close()
  })

  test('whose other stream is closed ends without an error if there are no bytes to write', () => {
    const base = openBase()
    const [first, second] = BufferEvent.pair(base)
    second.close()
    const happened = watched(first)
    passes(base)
    expect(happened).toEqual([])
    first.end()
    passes(base)
    expect(happened).toEqual(['write'])
    expect(first.flush(EV.WRITE, 'flush')).toBe(true)
    first.close()
  })

  test('reports the end to a stream that reads when the other is closed, once', () => {
    const base = openBase()
    const [first, second] = BufferEvent.pair(base)
    const happened = watched(first)
    first.enable(EV.READ)
    second.close()
    passes(base)
    expect(happened).toEqual([BEV.EOF | BEV.READING])
    expect(first.enabled).toBe(EV.WRITE)
    first.close()
  })
})

describe('the timer of a limit', () => {
  test('does not outlast the limit of a stream', () => {
    const base = openBase()
    const [near] = openPair()
    const stream = new BufferEvent(base, near, { closeOnFree: false, limit: { rate: 1 } })
    stream.enable(EV.READ).spendLimit(EV.READ, 1000).spendLimit(EV.WRITE, 2000)
    expect(deadlines(base)).toHaveLength(2)
    stream.spendLimit(EV.READ, 1000)
    expect(deadlines(base)).toHaveLength(2)
    stream.setLimit({ rate: 1 })
    expect(deadlines(base)).toEqual([])
    stream.spendLimit(EV.READ, 1000)
    stream.close()
    expect(deadlines(base)).toEqual([])
  })

  test('does not outlast the limit of a group', () => {
    const base = openBase()
    const group = new BufferEventGroup(base, { rate: 1 })
    group.spend(EV.READ, 1000)
    expect(deadlines(base)).toHaveLength(1)
    group.setLimit({ rate: 1 })
    expect(deadlines(base)).toEqual([])
    group.spend(EV.WRITE, 1000)
    group.close()
    expect(deadlines(base)).toEqual([])
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
  })

  test('expires when the bucket has the tokens of 20 ms, and a day later at most', () => {
    const base = openBase()
    const [near] = openPair()
    const stream = new BufferEvent(base, near, {
      closeOnFree: false,
      limit: { rate: 1000, burst: 1_000_000 },
    })
    stream.enable(EV.READ).spendLimit(EV.READ, 1_000_000 + 99_980)
    expect(deadlines(base)).toEqual([expect.closeTo(100_000, -4)])
    stream.setLimit({ rate: 1, burst: 1_000_000_000 }).spendLimit(EV.READ, 2_000_000_000)
    expect(deadlines(base)).toEqual([expect.closeTo(86_400_000, -5)])
    stream.close()
  })

  test('starts for a stream that joins a group without tokens, which is not polled meanwhile', () => {
    const base = openBase()
    const group = new BufferEventGroup(base, { rate: 1 })
    group.spend(EV.READ, 1000)
    const [near, far] = openPair()
    writeText(far, 'x')
    const stream = new BufferEvent(base, near, { closeOnFree: false, group }).enable(EV.READ)
    passes(base)
    expect(stream.input.length).toBe(0)
    expect(base.events().filter(({ fd }) => fd === near)).toEqual([])
    expect(deadlines(base)).toHaveLength(1)
    group.close()
    passes(base)
    expect(stream.input.length).toBe(1)
    stream.close()
  })

  test('a group counts the bytes of each direction of its members', () => {
    const base = openBase()
    const group = new BufferEventGroup(base, { rate: 1_000_000 })
    const [near, far] = openPair()
    writeText(far, 'four')
    const stream = new BufferEvent(base, near, { closeOnFree: false, group }).enable(EV.READ)
    stream.write('three')
    passes(base)
    stream.write('and more')
    passes(base)
    expect(group.stats).toEqual({ bytesRead: 4, bytesWritten: 13 })
    expect(group.resetStats().stats).toEqual({ bytesRead: 0, bytesWritten: 0 })
    stream.close()
    group.close()
  })

  test('a bucket that holds exactly what is worth moving is not waited for', () => {
    const base = openBase()
    const [near] = openPair()
    const stream = new BufferEvent(base, near, { closeOnFree: false, limit: { rate: 1000, burst: 20 } })
    expect(stream.allowance(EV.READ)).toBe(20)
    expect(deadlines(base)).toEqual([])
    stream.spendLimit(EV.READ, 0)
    expect(deadlines(base)).toEqual([])
    stream.close()
  })

  test('a member of a group may move its share, but at least minShare bytes', () => {
    const base = openBase()
    const group = new BufferEventGroup(base, { rate: 1000 }, { minShare: 300 })
    const members = [1, 2, 3, 4].map(() => {
      const stream = new BufferEvent(base, -1, { group })
      return stream
    })
    expect(members[0]?.allowance(EV.READ)).toBe(300)
    members[3]?.close()
    expect(members[0]?.allowance(EV.READ)).toBe(333)
    members[2]?.close()
    expect([group.size, members[0]?.allowance(EV.WRITE)]).toEqual([2, 500])
    group.setLimit({ write: { rate: 100 } })
    expect(members[0]?.allowance(EV.READ)).toBe(16_384)
    expect(group.left(EV.READ)).toBeUndefined()
    group.close()
    members[0]?.close()
    members[1]?.close()
  })
})

describe('a Duplex', () => {
  const ways: [string, (streams: Awaited<ReturnType<typeof openDuplex>>) => Promise<unknown>][] = [
    [
      'received',
      async ({ duplex, far }) => {
        const data = once(duplex, 'data')
        far.write('x')
        await data
      },
    ],
    ['written', async ({ duplex }) => void duplex.write('x')],
    [
      'written together',
      async ({ duplex }) => {
        duplex.cork()
        duplex.write('x')
        duplex.write('y')
        duplex.uncork()
      },
    ],
  ]

  test.each(ways)('counts its timeout from the last byte that is %s', async (_how, move) => {
    await atSomePace(async (pace) => {
      const streams = await openDuplex()
      const order: string[] = []
      const time = 100 * pace
      streams.duplex.on('timeout', () => order.push('timeout')).setTimeout(time)
      await sleep(time / 2)
      if (order.length > 0) return false
      await move(streams)
      if (order.length > 0) return false
      // Both timers of the host expire in the order of their deadlines.
      await Promise.all([
        sleep(time * 0.8).then(() => order.push('earlier')),
        sleep(time * 1.3).then(() => order.push('later')),
      ])
      streams.duplex.destroy()
      return order.join() === 'earlier,timeout,later'
    })
  })

  test('counts its timeout from the call, whatever has moved before', async () => {
    await atSomePace(async (pace) => {
      const { duplex } = await openDuplex()
      const time = 100 * pace
      duplex.setTimeout(1_000_000).write('before')
      await until(() => duplex.bufferEvent.output.length === 0)
      const order: string[] = []
      duplex.on('timeout', () => order.push('timeout')).setTimeout(time)
      await sleep(time * 1.5).then(() => order.push('later'))
      duplex.destroy()
      return order.join() === 'timeout,later'
    })
  })

  test('emits one timeout without traffic, and calls a callback that was not removed', async () => {
    const { duplex } = await openDuplex()
    const called: string[] = []
    const removed = (): void => void called.push('removed')
    duplex.on('timeout', () => called.push('timeout'))
    duplex.setTimeout(1, removed).setTimeout(0, removed)
    expect(duplex.timeout).toBeUndefined()
    await sleep(20)
    expect(called).toEqual([])
    duplex.setTimeout(1, () => called.push('callback'))
    await once(duplex, 'timeout')
    await sleep(20)
    expect(called).toEqual(['timeout', 'callback'])
    duplex.setTimeout(5)
    duplex.destroy()
    await sleep(20)
    expect(called).toEqual(['timeout', 'callback'])
  })

  test('keeps the loop from being empty until the last one is closed or unreferenced', () => {
    const base = openBase()
    const duplexes = [openPair(), openPair()].map(([near]) =>
      new BufferEvent(base, near, { closeOnFree: false }).toDuplex(),
    ) as [BufferEventDuplex, BufferEventDuplex]
    const isEmpty = (): boolean => base.loop(LoopFlag.NONBLOCK) === LoopResult.EMPTY
    expect([isEmpty(), deadlines(base).length]).toEqual([false, 1])
    duplexes[0].unref().unref()
    expect(isEmpty()).toBe(false)
    duplexes[1].ref().unref()
    expect([isEmpty(), deadlines(base).length]).toEqual([true, 0])
    duplexes[0].ref()
    expect(isEmpty()).toBe(false)
    duplexes[0].destroy()
    expect(isEmpty()).toBe(true)
    duplexes[0].ref()
    expect(isEmpty()).toBe(true)
    duplexes[1].destroy()
  })

  test('has the addresses of both ends, and none without a descriptor', async () => {
    const { duplex, far } = await openDuplex()
    expect([duplex.localAddress, duplex.localPort, duplex.localFamily]).toEqual([
      far.remoteAddress,
      far.remotePort,
      'IPv4',
    ])
    expect([duplex.remoteAddress, duplex.remotePort, duplex.remoteFamily]).toEqual([
      far.localAddress,
      far.localPort,
      'IPv4',
    ])
    const [near] = openPair()
    const unnamed = new BufferEvent(openBase(), near, { closeOnFree: false }).toDuplex()
    for (const one of [unnamed, BufferEvent.pair(openBase())[0].toDuplex()]) {
      expect(one.address()).toEqual({})
      expect([one.localAddress, one.localPort, one.localFamily]).toEqual([undefined, undefined, undefined])
      expect([one.remoteAddress, one.remotePort, one.remoteFamily]).toEqual([undefined, undefined, undefined])
      one.destroy()
    }
  })

  test('counts bytes that are not sent yet as written', () => {
    const base = openBase()
    const [near, far] = openPair()
    const sent = fill(near)
    expect(sent).toBeGreaterThan(0)
    const duplex = new BufferEvent(base, near, { closeOnFree: false }).toDuplex()
    duplex.write('12345')
    expect(duplex.bytesWritten).toBe(5)
    empty(far)
    passes(base)
    expect([duplex.bytesWritten, duplex.bufferEvent.stats.bytesWritten]).toEqual([5, 5])
    duplex.destroy()
  })

  test('reads ahead up to the high watermark of its stream, or at least 64 KiB', () => {
    const base = openBase()
    const [own, default_, large] = [{ readHigh: 7 }, {}, {}].map((options) => {
      const [near] = openPair()
      return new BufferEvent(base, near, { closeOnFree: false, readLow: 5, writeLow: 5, ...options })
    }) as [BufferEvent, BufferEvent, BufferEvent]
    own.disable(EV.WRITE).toDuplex()
    default_.toDuplex()
    large.toDuplex({ highWaterMark: 1_000_000 })
    expect(own.watermarks).toEqual({ readLow: 0, readHigh: 7, writeLow: 0 })
    expect(own.enabled).toBe(EV.WRITE)
    expect(default_.watermarks).toEqual({ readLow: 0, readHigh: 65_536, writeLow: 0 })
    expect(large.watermarks.readHigh).toBe(1_000_000)
    for (const stream of [own, default_, large]) stream.close()
  })

  test('sets the time before the first probe from one second on', async () => {
    const { duplex } = await openDuplex()
    const { fd } = duplex.bufferEvent
    const before = socket.getOption(fd, 'keepAliveIdle')
    duplex.setKeepAlive(true, 999)
    expect([socket.getOption(fd, 'keepAlive'), socket.getOption(fd, 'keepAliveIdle')]).toEqual([true, before])
    duplex.setKeepAlive(true, 1000)
    expect(socket.getOption(fd, 'keepAliveIdle')).toBe(1000)
    duplex.setKeepAlive(false, 5000)
    expect([socket.getOption(fd, 'keepAlive'), socket.getOption(fd, 'keepAliveIdle')]).toEqual([false, 1000])
    duplex.setKeepAlive()
    expect(socket.getOption(fd, 'keepAlive')).toBe(false)
  })

  test('fails if its descriptor cannot be read', async () => {
    const base = await running()
    const [near, far] = socket.pair()
    const duplex = new BufferEvent(base, near, { closeOnFree: false }).toDuplex()
    socket.close(near)
    const failed = once(duplex, 'error')
    duplex.read()
    const [failure] = (await failed) as [Error]
    expect(failure).toMatchObject({ code: 'EBADF' })
    expect(duplex.destroyed).toBe(true)
    socket.close(far)
  })
})

test('the priority of a stream is that of its callbacks and of its descriptor', () => {
  const base = openBase()
  base.setPriorities(3)
  const [near, far] = openPair()
  const order: string[] = []
  const stream = new BufferEvent(base, near, {
    closeOnFree: false,
    priority: 2,
    onRead: () => order.push('stream'),
  })
  expect(stream.priority).toBe(2)
  stream.priority = 0
  expect(stream.priority).toBe(0)
  stream.enable(EV.READ)
  base.once(near, EV.WRITE, () => void order.push('event'))
  writeText(far, 'x')
  passes(base)
  expect(order).toEqual(['stream', 'event'])
  stream.close()
  expect(refusal(() => (stream.priority = 1))).toBe('ERR_EVENT_CLOSED')
})

test('bytes that are added at the front of the output are sent', () => {
  const base = openBase()
  const [near, far] = openPair()
  const stream = new BufferEvent(base, near, { closeOnFree: false })
  stream.output.prepend('first')
  passes(base)
  expect(empty(far)).toBe(5)
  stream.close()
})

test('an event after a failure has no error', () => {
  const base = openBase()
  const [near, far] = openPair()
  const happened: unknown[] = []
  const stream = new BufferEvent(base, near, {
    closeOnFree: false,
    onEvent: (what, _stream, error) => happened.push([what, error === undefined]),
  })
  close(far)
  stream.write('x')
  passes(base)
  stream.triggerEvent(BEV.TIMEOUT | BEV.READING)
  expect(happened).toEqual([
    [BEV.ERROR | BEV.WRITING, false],
    [BEV.TIMEOUT | BEV.READING, true],
  ])
  stream.close()
})
