import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Readable, type Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate } from 'node:timers/promises'

import { describe, expect, onTestFinished, test, vi } from 'vitest'

import { EV, LoopResult, type EventBase } from '../../index.js'
import { BufferEvent, socket, type BufferEventDuplex, type DuplexOptions } from '../../net.js'
import { refusal } from '../support/errors.js'
import {
  anyPort,
  baseOn,
  connection,
  drain,
  LOOPBACK,
  openDescriptors,
  pattern,
  running,
  sleep,
  until,
} from './support.js'

/** A stream over one end of a TCP connection, and a socket of Node at the other end. */
async function open(
  options?: DuplexOptions,
): Promise<{ base: EventBase; duplex: BufferEventDuplex; far: Socket; fd: number }> {
  const base = await running()
  const { fd, far } = await connection()
  const duplex = new BufferEvent(base, fd).toDuplex(options)
  onTestFinished(() => void duplex.destroy())
  return { base, duplex, far, fd }
}

/** Two streams that are connected: through a pair of sockets, or in memory. */
const couples: [string, (base: EventBase) => [BufferEventDuplex, BufferEventDuplex]][] = [
  [
    'descriptors',
    (base) =>
      socket.pair().map((fd) => new BufferEvent(base, fd).toDuplex()) as [
        BufferEventDuplex,
        BufferEventDuplex,
      ],
  ],
  [
    'a pair in memory',
    (base) => BufferEvent.pair(base).map((one) => one.toDuplex()) as [BufferEventDuplex, BufferEventDuplex],
  ],
]

function digest(chunks: Iterable<Uint8Array>): string {
  const hash = createHash('sha256')
  for (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}

/** The SHA-256 of all bytes of a stream. Iterating would destroy the stream at its end. */
async function digestOf(stream: Duplex): Promise<string> {
  const hash = createHash('sha256')
  stream.on('data', (chunk: Buffer) => hash.update(chunk))
  await once(stream, 'end')
  return hash.digest('hex')
}

/** A large text in pieces of many lengths. */
function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0, length = 1; at < bytes.length; at += length, length = ((length * 7) % 60_013) + 1) {
    yield bytes.subarray(at, Math.min(at + length, bytes.length))
  }
}

describe.each(couples)('through %s', (_name, couple) => {
  test('a pipeline moves all bytes, in both directions at the same time', async () => {
    const base = await running()
    const [near, far] = couple(base)
    const there = pattern(8_000_001, 1)
    const back = pattern(6_000_001, 2)
    const [gotThere, gotBack] = await Promise.all([
      digestOf(far),
      digestOf(near),
      pipeline(Readable.from(pieces(there)), near),
      pipeline(Readable.from(pieces(back)), far),
    ])
    expect(gotThere).toBe(digest([there]))
    expect(gotBack).toBe(digest([back]))
    await until(() => near.destroyed && far.destroyed, 'both to be closed')
    expect([near.bufferEvent.closed, far.bufferEvent.closed]).toEqual([true, true])
    expect(near.bytesRead).toBe(back.length)
    expect(near.bytesWritten).toBe(there.length)
  })

  test('an echo ends when its input ends', async () => {
    const base = await running()
    const [near, far] = couple(base)
    const echo = pipeline(far, far)
    near.end('hello')
    const received: Buffer[] = []
    for await (const chunk of near) received.push(chunk as Buffer)
    await echo
    expect(String(Buffer.concat(received))).toBe('hello')
  })

  test('an iteration that ends early destroys the stream, and the other end reads the end', async () => {
    const base = await running()
    const [near, far] = couple(base)
    far.on('error', () => {})
    far.write('one')
    for await (const chunk of near) {
      expect(String(chunk)).toBe('one')
      break
    }
    expect(near.destroyed).toBe(true)
    far.resume()
    await once(far, 'end')
    far.destroy()
  })

  test('half-open: the end of one direction leaves the other open', async () => {
    const base = await running()
    const [near, far] = couple(base)
    near.end('request')
    expect(String(await drain(far))).toBe('request')
    expect(far.writable).toBe(true)
    far.write('late ')
    far.end('answer')
    expect(String(await drain(near))).toBe('late answer')
    await until(() => near.destroyed && far.destroyed)
  })
})

test('without allowHalfOpen the end of the stream ends the other direction too', async () => {
  const { duplex, far } = await open({ allowHalfOpen: false })
  const received = drain(far)
  far.end()
  duplex.resume()
  await once(duplex, 'close')
  expect((await received).length).toBe(0)
})

test('a slow reader slows its writer', async () => {
  const { duplex, far } = await open()
  let taken = 0
  const chunk = pattern(65_536, 3)
  const send = (): void => {
    while (far.writable && far.write(chunk)) taken += chunk.length
  }
  far.on('drain', send)
  send()
  duplex.once('readable', () => {})
  let before = -1
  await until(() => {
    const isStill = before === far.bytesWritten - far.writableLength
    before = far.bytesWritten - far.writableLength
    return isStill && before > 100_000
  })
  const held = duplex.readableLength + duplex.bufferEvent.input.length
  expect(held).toBeGreaterThan(0)
  expect(held).toBeLessThanOrEqual(65_536 + duplex.readableHighWaterMark + 16_384)
  far.off('drain', send)
  const hash = createHash('sha256')
  let count = 0
  duplex.on('data', (data: Buffer) => {
    count += data.length
    hash.update(data)
  })
  far.end()
  await once(duplex, 'end')
  expect(count % chunk.length).toBe(0)
  const sum = createHash('sha256')
  for (let at = 0; at < count; at += chunk.length) sum.update(chunk)
  expect(hash.digest('hex')).toBe(sum.digest('hex'))
})

test("a writer is slowed by a slow reader, and gets 'drain'", async () => {
  const { duplex, far } = await open()
  far.pause()
  let written = 0
  while (duplex.write(pattern(65_536, written))) written += 1
  const { bytesWritten } = duplex.bufferEvent.stats
  expect(duplex.writableLength).toBeGreaterThan(0)
  expect(duplex.writableNeedDrain).toBe(true)
  const received = drain(far)
  await once(duplex, 'drain')
  expect(duplex.bufferEvent.stats.bytesWritten).toBeGreaterThan(bytesWritten)
  duplex.end()
  expect((await received).length).toBe((written + 1) * 65_536)
})

test('a write that is accepted immediately needs no pass of the loop', () => {
  const base = baseOn()
  const [near, far] = socket.pair()
  const duplex = new BufferEvent(base, near).toDuplex()
  duplex.write('at once')
  const buffer = Buffer.alloc(16)
  expect(socket.read(far, buffer)).toBe(7)
  duplex.destroy()
  socket.close(far)
})

describe('failures', () => {
  test('a reset emits one error, and closes the descriptor once', async () => {
    const { duplex, far } = await open()
    const before = openDescriptors()
    const calls = vi.fn<(error: Error) => void>()
    duplex.on('error', calls)
    duplex.resume()
    duplex.write('x')
    far.resetAndDestroy()
    await once(duplex, 'close').catch(() => {})
    await setImmediate()
    expect(calls.mock.calls.map(([error]) => error)).toEqual([
      expect.objectContaining({ code: 'ECONNRESET' }),
    ])
    expect(duplex.bufferEvent.closed).toBe(true)
    expect(openDescriptors()).toBeLessThan(before)
  })

  test('a write to a closed peer fails its callback and the stream', async () => {
    const base = await running()
    const [near, far] = socket.pair()
    const duplex = new BufferEvent(base, near).toDuplex()
    const calls = vi.fn<(error: Error) => void>()
    duplex.on('error', calls)
    socket.close(far)
    const failure = await new Promise((resolve) => void duplex.write('lost', resolve))
    expect(failure).toMatchObject({ code: 'EPIPE' })
    await until(() => calls.mock.calls.length > 0)
    await setImmediate()
    expect(calls).toHaveBeenCalledTimes(1)
  })

  test('destroying it emits the error once, and fails the write in progress', async () => {
    const { duplex, far } = await open()
    far.pause()
    far.on('error', () => {})
    const calls = vi.fn<(error: Error) => void>()
    duplex.on('error', calls)
    const writes: unknown[] = []
    for (let index = 0; index < 200; index += 1) {
      duplex.write(Buffer.alloc(65_536), (error) => writes.push(error ?? undefined))
    }
    await setImmediate()
    const reason = new Error('given up')
    let isClosed = false
    duplex.on('close', () => (isClosed = true))
    duplex.destroy(reason)
    duplex.destroy(new Error('again'))
    await until(() => isClosed && writes.length === 200)
    expect(calls.mock.calls).toEqual([[reason]])
    expect(writes.at(-1)).toBeInstanceOf(Error)
    expect(duplex.bufferEvent.closed).toBe(true)
  })

  test.each([
    ['without a reason reports the failure of the close', undefined, 'EBADF'],
    ['with a reason reports the reason', Object.assign(new Error('given up'), { code: 'EGIVEN' }), 'EGIVEN'],
  ])(
    'destroying it when its descriptor is closed already, %s, also to the write in progress',
    async (_name, reason, code) => {
      const [near, far] = socket.pair()
      onTestFinished(() => socket.close(far))
      const duplex = new BufferEvent(baseOn(), near).toDuplex()
      const failed = once(duplex, 'error')
      const written = new Promise((resolve) => void duplex.write(Buffer.alloc(2 ** 22), resolve))
      socket.close(near)
      duplex.destroy(reason)
      expect(await written).toMatchObject({ code })
      expect((await failed)[0]).toMatchObject({ code })
    },
  )

  test('closing the buffer event or the base destroys it', async () => {
    const base = baseOn()
    const duplexes = [0, 1].map(() => {
      const [near, far] = socket.pair()
      onTestFinished(() => socket.close(far))
      return new BufferEvent(base, near).toDuplex()
    }) as [BufferEventDuplex, BufferEventDuplex]
    duplexes[0].bufferEvent.close()
    await once(duplexes[0], 'close')
    const reading = duplexes[1].toArray()
    base.close()
    await expect(reading).rejects.toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' })
    expect(refusal(() => duplexes[0].bufferEvent.toDuplex())).toBe('ERR_EVENT_CLOSED')
  })

  test('destroying it inside its own events is safe', async () => {
    for (const event of ['data', 'end', 'drain'] as const) {
      const { duplex, far } = await open()
      far.on('error', () => {})
      far.resume()
      duplex.on('error', () => {})
      duplex.on(event, () => void duplex.destroy())
      if (event !== 'data') duplex.resume()
      while (duplex.write(Buffer.alloc(65_536)));
      far.end('x')
      await until(() => duplex.closed, event)
    }
  })
})

describe('members of net.Socket', () => {
  test('addresses and counters', async () => {
    const { duplex, far } = await open()
    expect(duplex.remoteAddress).toBe(LOOPBACK)
    expect(duplex.remotePort).toBe(far.localPort)
    expect(duplex.remoteFamily).toBe('IPv4')
    expect(duplex.localPort).toBe(far.remotePort)
    expect(duplex.address()).toEqual({ address: LOOPBACK, port: far.remotePort, family: 'IPv4' })
    far.write('12345')
    expect(String((await once(duplex, 'data'))[0])).toBe('12345')
    duplex.write('123')
    expect(duplex.bytesRead).toBe(5)
    expect(duplex.bytesWritten).toBe(3)
    duplex.destroy()
    expect(duplex.remoteAddress).toBeUndefined()
    expect(duplex.address()).toEqual({})
  })

  test('options of a socket, which have no effect without one', async () => {
    const { duplex, fd } = await open()
    expect(duplex.setNoDelay().setKeepAlive(true, 5000)).toBe(duplex)
    expect(socket.getOption(fd, 'noDelay')).toBe(true)
    expect(socket.getOption(fd, 'keepAlive')).toBe(true)
    expect(socket.getOption(fd, 'keepAliveIdle')).toBe(5000)
    duplex.setNoDelay(false).setKeepAlive(false)
    expect(socket.getOption(fd, 'noDelay')).toBe(false)
    expect(socket.getOption(fd, 'keepAlive')).toBe(false)
    duplex.destroy()
    duplex.setNoDelay().setKeepAlive(true)
    const [one, other] = BufferEvent.pair(baseOn())
    expect(one.toDuplex().setNoDelay().setKeepAlive(true).remotePort).toBeUndefined()
    other.close()
  })

  test('a timeout is emitted without traffic, and leaves the stream open', async () => {
    const { duplex, far } = await open()
    const called = vi.fn<() => void>()
    expect(duplex.setTimeout(5, called).timeout).toBe(5)
    await once(duplex, 'timeout')
    expect(called).toHaveBeenCalledTimes(1)
    far.write('still there')
    expect(String((await once(duplex, 'data'))[0])).toBe('still there')
    expect(duplex.setTimeout(0).timeout).toBeUndefined()
    expect(refusal(() => duplex.setTimeout(-1))).toBe('ERR_OUT_OF_RANGE')
    expect(refusal(() => duplex.setTimeout(1, 1 as unknown as () => void))).toBe('ERR_INVALID_ARG_TYPE')
  })

  test('a timeout above the maximum of a host timer does not fire early', async () => {
    const { duplex } = await open()
    let count = 0
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning)
    process.on('warning', onWarning)
    onTestFinished(() => void process.off('warning', onWarning))
    duplex.on('timeout', () => (count += 1))
    for (const timeout of [2 ** 31, 3e9, 1e12]) {
      expect(duplex.setTimeout(timeout).timeout).toBe(timeout)
      await sleep(10)
    }
    expect(count).toBe(0)
    expect(warnings).toEqual([])
  })

  test('a timeout of a stream that is destroyed has no effect', async () => {
    const { duplex } = await open()
    duplex.destroy()
    const called = vi.fn<() => void>()
    expect(duplex.setTimeout(1, called).timeout).toBeUndefined()
    await sleep(10)
    expect(called).not.toHaveBeenCalled()
    expect(duplex.listenerCount('timeout')).toBe(0)
  })

  test('a timeout fires although the timers of the host are replaced', async () => {
    const { duplex } = await open()
    const { setTimeout } = globalThis
    onTestFinished(() => void (globalThis.setTimeout = setTimeout))
    globalThis.setTimeout = (() => ({ unref: () => ({}) })) as never
    duplex.setTimeout(5)
    await once(duplex, 'timeout')
  })

  test('a timeout of the buffer event is emitted, and the direction continues', async () => {
    const base = await running()
    const { fd, far } = await connection()
    const duplex: BufferEventDuplex = new BufferEvent(base, fd, { readTimeout: 5 }).toDuplex()
    duplex.resume()
    await once(duplex, 'timeout')
    duplex.bufferEvent.setTimeouts({ readTimeout: 0 })
    far.write('late')
    expect(String((await once(duplex, 'data'))[0])).toBe('late')
    duplex.destroy()
  })

  test('destroySoon() writes the rest of the output first', async () => {
    const { duplex, far } = await open()
    const received = drain(far)
    const bytes = pattern(3_000_000, 9)
    duplex.write(bytes)
    duplex.destroySoon()
    expect((await received).equals(bytes)).toBe(true)
    await until(() => duplex.destroyed)
    duplex.destroySoon()
  })
})

describe('a connect in progress', () => {
  test('is reported when it succeeds, and bytes that were written before are sent', async () => {
    const base = await running()
    const listening = socket.listen(anyPort)
    const stream = new BufferEvent(base, -1)
    stream.connect(socket.address(listening))
    const duplex = stream.toDuplex()
    expect([duplex.connecting, duplex.pending]).toEqual([true, true])
    const connected = once(duplex, 'connect')
    duplex.end('early')
    await connected
    expect(duplex.connecting).toBe(false)
    let fd = -1
    await until(() => (fd = socket.accept(listening)) !== -1)
    const buffer = Buffer.alloc(16)
    await until(() => socket.read(fd, buffer) === 5)
    duplex.destroy()
    for (const one of [fd, listening]) socket.close(one)
  })

  test('that fails emits an error', async () => {
    const base = await running()
    const { closedPort } = await import('./support.js')
    const stream = new BufferEvent(base, -1)
    stream.connect({ host: LOOPBACK, port: closedPort() })
    const [failure] = (await once(stream.toDuplex(), 'error')) as [Error]
    expect(failure).toMatchObject({ code: 'ECONNREFUSED', address: LOOPBACK })
  })
})

describe('the loop', () => {
  test('does not end while a stream with a paused reader is open', async () => {
    const base = baseOn()
    const { fd, far } = await connection()
    const duplex: Duplex = new BufferEvent(base, fd).toDuplex({ highWaterMark: 1 })
    let isOver = false
    const run = base.run().then((result) => {
      isOver = true
      return result
    })
    duplex.read(0)
    far.write(pattern(200_000, 4))
    await until(() => duplex.readableLength > 0 && far.writableLength === 0)
    for (let turn = 0; turn < 5; turn += 1) await setImmediate()
    expect(isOver).toBe(false)
    const sum = digestOf(duplex)
    far.end()
    expect(await sum).toBe(digest([pattern(200_000, 4)]))
    duplex.destroy()
    expect(await run).toBe(LoopResult.EMPTY)
  })

  test('ends when the stream is unreferenced', async () => {
    const base = baseOn()
    const { fd } = await connection()
    const duplex = new BufferEvent(base, fd).toDuplex()
    expect(duplex.unref()).toBe(duplex)
    expect(await base.run()).toBe(LoopResult.EMPTY)
    duplex.ref()
    expect(base.loop(3)).toBe(LoopResult.STOPPED)
    duplex.destroy()
    expect(base.loop(3)).toBe(LoopResult.EMPTY)
  })

  test('one buffer event has one stream', () => {
    const base = baseOn()
    const [near, far] = socket.pair()
    const stream = new BufferEvent(base, near)
    const duplex = stream.toDuplex()
    expect(stream.toDuplex()).toBe(duplex)
    expect(duplex.bufferEvent).toBe(stream)
    expect(duplex.base).toBe(base)
    expect(stream.enabled & EV.WRITE).toBe(EV.WRITE)
    expect(refusal(() => stream.toDuplex(1 as unknown as DuplexOptions))).toBe('ERR_INVALID_ARG_TYPE')
    stream.close()
    socket.close(far)
  })

  test.each([
    ['a high water mark that is no number', { highWaterMark: '1' }, 'ERR_INVALID_ARG_TYPE'],
    ['a high water mark that is null', { highWaterMark: null }, 'ERR_INVALID_ARG_TYPE'],
    ['a negative high water mark', { highWaterMark: -1 }, 'ERR_OUT_OF_RANGE'],
    ['a fractional high water mark', { highWaterMark: 1.5 }, 'ERR_OUT_OF_RANGE'],
    ['a high water mark that is NaN', { highWaterMark: Number.NaN }, 'ERR_OUT_OF_RANGE'],
    ['an infinite high water mark', { highWaterMark: Infinity }, 'ERR_OUT_OF_RANGE'],
    ['a high water mark above 2^53 - 1', { highWaterMark: 2 ** 53 }, 'ERR_OUT_OF_RANGE'],
    ['allowHalfOpen that is no boolean', { allowHalfOpen: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ] as [string, DuplexOptions, string][])(
    '%s is refused, and the stream stays usable',
    (_name, options, code) => {
      const [near, far] = BufferEvent.pair(baseOn())
      near.setWatermarks({ readLow: 3, readHigh: 9 })
      expect(refusal(() => near.toDuplex(options))).toBe(code)
      expect(near.watermarks).toEqual({ readLow: 3, readHigh: 9, writeLow: 0 })
      const duplex = near.toDuplex({ highWaterMark: 5, allowHalfOpen: false })
      expect([duplex.readableHighWaterMark, duplex.writableHighWaterMark]).toEqual([5, 5])
      expect(duplex.allowHalfOpen).toBe(false)
      expect(refusal(() => near.toDuplex(options))).toBe(code)
      expect(near.toDuplex({ highWaterMark: 6 })).toBe(duplex)
      for (const stream of [near, far]) stream.close()
    },
  )

  test.each([0, Number.MAX_SAFE_INTEGER])('the high water mark may be %d', (highWaterMark) => {
    const [near, far] = BufferEvent.pair(baseOn())
    const duplex = near.toDuplex({ highWaterMark })
    expect([duplex.readableHighWaterMark, duplex.writableHighWaterMark]).toEqual([
      highWaterMark,
      highWaterMark,
    ])
    for (const stream of [near, far]) stream.close()
  })
})
