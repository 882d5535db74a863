import { describe, expect, test } from 'vitest'

import { EV } from '../../index.js'
import { BEV, BufferEvent, socket, type BufferEventOptions } from '../../net.js'
import { close, empty, fill, readText, openPair, openPipe, writeText } from '../support/descriptors.js'
import { openDescriptors } from '../../scripts/lib/system.mjs'
import { openBase } from '../support/base.js'
import { refusal, thrownBy } from '../support/errors.js'
import { anyPort, closedPort, LOOPBACK, pattern, portOf } from './support.js'

type Call = [what: 'read' | 'write', length: number] | ['event', what: number]

/** A stream on one of two sockets that records the calls of its callbacks, and the other socket. */
function open(options: BufferEventOptions = {}): {
  base: ReturnType<typeof openBase>
  stream: BufferEvent
  far: number
  calls: Call[]
  pass: () => void
} {
  const base = openBase()
  const [near, far] = openPair()
  const calls: Call[] = []
  const stream = new BufferEvent(base, near, {
    closeOnFree: false,
    onRead: ({ input }) => calls.push(['read', input.length]),
    onWrite: ({ output }) => calls.push(['write', output.length]),
    onEvent: (what) => calls.push(['event', what]),
    ...options,
  })
  const pass = (): void => {
    for (let round = 0; round < 3; round += 1) base.loop(LOOP_ONCE_NONBLOCK)
  }
  return { base, stream, far, calls, pass }
}

const LOOP_ONCE_NONBLOCK = 0x03

describe('directions', () => {
  test('writing is enabled initially, reading is not', () => {
    const { stream, far, calls, pass } = open()
    expect(stream.enabled).toBe(EV.WRITE)
    writeText(far, 'unheard')
    stream.write('heard')
    pass()
    expect(calls).toEqual([['write', 0]])
    expect(readText(far)).toBe('heard')
    expect(stream.input.length).toBe(0)
    expect(stream.enable(EV.READ).enabled).toBe(EV.READ | EV.WRITE)
    pass()
    expect(calls).toEqual([
      ['write', 0],
      ['read', 7],
    ])
    expect(String(stream.read())).toBe('unheard')
  })

  test('nothing is read or written while a direction is disabled', () => {
    const { stream, far, calls, pass } = open()
    stream.enable(EV.READ).disable(EV.READ | EV.WRITE)
    expect(stream.enabled).toBe(0)
    stream.write('waits')
    writeText(far, 'too')
    pass()
    expect(calls).toEqual([])
    expect(readText(far)).toBeUndefined()
    expect(stream.output.length).toBe(5)
    stream.enable(EV.READ | EV.WRITE)
    pass()
    expect(calls).toContainEqual(['read', 3])
    expect(readText(far)).toBe('waits')
  })

  test('enabling WRITE with nothing to write calls onWrite once', () => {
    const { stream, calls, pass } = open()
    pass()
    expect(calls).toEqual([])
    stream.enable(EV.WRITE)
    pass()
    expect(calls).toEqual([['write', 0]])
  })

  test('bytes of several writes in one pass are sent in order', () => {
    const { stream, far, pass } = open()
    stream
      .write('a')
      .write(Buffer.from('bc'))
      .write(new Uint8Array([0x64]))
    for (let index = 0; index < 200; index += 1) stream.write(String(index))
    pass()
    expect(readText(far)).toBe(`abcd${[...Array(200).keys()].join('')}`)
  })

  test('written bytes are referenced and not copied', () => {
    const { stream, far, pass } = open()
    const bytes = Buffer.from('before')
    stream.write(bytes)
    bytes.write('after!')
    pass()
    expect(readText(far)).toBe('after!')
  })

  test('large output is sent as far as it is accepted, and the rest when there is room', () => {
    const { stream, far, calls, pass } = open()
    const bytes = pattern(3_000_000, 1)
    for (let at = 0; at < bytes.length; at += 70_001) stream.write(bytes.subarray(at, at + 70_001))
    const got: Buffer[] = []
    const piece = Buffer.alloc(1 << 20)
    for (let sum = 0; sum < bytes.length;) {
      pass()
      const count = socket.read(far, piece)
      expect(count).toBeGreaterThan(0)
      got.push(Buffer.from(piece.subarray(0, count)))
      sum += count
    }
    pass()
    expect(Buffer.concat(got).equals(bytes)).toBe(true)
    expect(calls).toEqual([['write', 0]])
    expect(stream.stats).toEqual({ bytesRead: 0, bytesWritten: bytes.length })
  })
})

describe('watermarks', () => {
  test('onRead is called at or above the low watermark', () => {
    const { stream, far, calls, pass } = open({ readLow: 5 })
    stream.enable(EV.READ)
    writeText(far, '1234')
    pass()
    expect(calls).toEqual([])
    writeText(far, '5')
    pass()
    expect(calls).toEqual([['read', 5]])
    stream.read(3)
    writeText(far, '6')
    pass()
    expect(calls).toEqual([['read', 5]])
    stream.setWatermarks({ readLow: 0 })
    writeText(far, '7')
    pass()
    expect(calls).toEqual([
      ['read', 5],
      ['read', 4],
    ])
  })

  test('reading stops at the high watermark, and resumes below it', () => {
    const { stream, far, calls, pass } = open({ readHigh: 10 })
    stream.enable(EV.READ)
    writeText(far, 'x'.repeat(25))
    pass()
    expect(calls).toEqual([['read', 10]])
    stream.read(4)
    pass()
    expect(stream.input.length).toBe(10)
    stream.read()
    pass()
    expect(stream.input.length).toBe(10)
    stream.setWatermarks({ readHigh: 0 })
    pass()
    expect(stream.input.length).toBe(11)
  })

  test('a high watermark below the length of the input stops reading', () => {
    const { stream, far, pass } = open()
    stream.enable(EV.READ)
    writeText(far, '12345')
    pass()
    stream.setWatermarks({ readHigh: 3 })
    writeText(far, '6')
    pass()
    expect(stream.input.length).toBe(5)
    stream.input.drain(3)
    pass()
    expect(String(stream.read())).toBe('456'.slice(0, 3))
  })

  test('while reading is paused nothing is pending', () => {
    const { base, stream, far, pass } = open({ readHigh: 1 })
    stream.enable(EV.READ)
    writeText(far, 'xy')
    pass()
    expect(base.events()).toEqual([])
  })

  test('onWrite is called when the output is at or below the low watermark', () => {
    const { stream, far, calls, pass } = open({ writeLow: 1_000_000, maxSingleWrite: 1 << 30 })
    fill(far)
    stream.write(Buffer.alloc(5_000_000))
    pass()
    expect(calls).toEqual([])
    while (stream.output.length > 1_000_000) {
      expect(calls).toEqual([])
      empty(far)
      pass()
    }
    expect(calls[0]?.[0]).toBe('write')
    expect(calls[0]?.[1]).toBeLessThanOrEqual(1_000_000)
  })

  test('a low watermark above the high one is refused', () => {
    const { stream } = open()
    expect(refusal(() => stream.setWatermarks({ readLow: 11, readHigh: 10 }))).toBe('ERR_OUT_OF_RANGE')
    stream.setWatermarks({ readHigh: 10 })
    expect(refusal(() => stream.setWatermarks({ readLow: 11 }))).toBe('ERR_OUT_OF_RANGE')
    stream.setWatermarks({ readLow: 10 })
  })
})

describe('caps', () => {
  test('at most maxSingleRead bytes are read at once, 16384 by default', () => {
    const { stream, far, calls, pass } = open()
    stream.enable(EV.READ)
    socket.write(far, Buffer.alloc(40_000))
    pass()
    expect(calls.map(([, length]) => length)).toEqual([16_384, 32_768, 40_000])
    stream.read()
    stream.setCaps({ maxSingleRead: 30_000 })
    socket.write(far, Buffer.alloc(40_000))
    pass()
    expect(stream.input.length).toBe(40_000)
    expect(calls.slice(3)).toHaveLength(2)
  })

  test('at most maxSingleWrite bytes are written at once', () => {
    const { base, stream, far } = open({ maxSingleWrite: 3 })
    stream.write('abcd').write('efgh')
    base.loop(LOOP_ONCE_NONBLOCK)
    expect(readText(far)).toBe('abc')
    base.loop(LOOP_ONCE_NONBLOCK)
    expect(readText(far)).toBe('def')
    base.loop(LOOP_ONCE_NONBLOCK)
    expect(readText(far)).toBe('gh')
  })
})

describe('timeouts', () => {
  test('a direction in which nothing moves is disabled and reported', () => {
    const { base, stream, far, calls } = open({ readTimeout: 5, writeTimeout: 10 })
    fill(stream.fd)
    stream.enable(EV.READ).write('stuck')
    base.dispatch()
    expect(calls).toEqual([
      ['event', BEV.TIMEOUT | BEV.READING],
      ['event', BEV.TIMEOUT | BEV.WRITING],
    ])
    expect(stream.enabled).toBe(0)
    expect(stream.output.length).toBe(5)
    empty(far)
    stream.enable(EV.WRITE)
    base.dispatch()
    expect(readText(far)).toBe('stuck')
  })

  test('no timeout runs while there is nothing to write, or reading is disabled', () => {
    const { base, stream, calls } = open({ readTimeout: 1, writeTimeout: 1 })
    expect(stream.enabled).toBe(EV.WRITE)
    base.dispatch()
    expect(calls).toEqual([])
  })

  test('bytes that arrive at the same time prevent a timeout', () => {
    const { base, stream, far, calls } = open({ readTimeout: 20 })
    stream.enable(EV.READ)
    writeText(far, 'in time')
    const end = performance.now() + 40
    while (performance.now() < end);
    base.loop(LOOP_ONCE_NONBLOCK)
    expect(calls).toEqual([['read', 7]])
    expect(stream.enabled & EV.READ).toBe(EV.READ)
  })

  test('timeouts can be set and removed while they run', () => {
    const { base, stream, calls } = open({ readTimeout: 50_000 })
    stream.enable(EV.READ).setTimeouts({ readTimeout: 1 })
    base.dispatch()
    expect(calls).toEqual([['event', BEV.TIMEOUT | BEV.READING]])
    stream.enable(EV.READ).setTimeouts({ readTimeout: 0 })
    base.newTimer(() => base.loopBreak()).add(10)
    base.loop()
    expect(calls).toHaveLength(1)
    expect(stream.enabled & EV.READ).toBe(EV.READ)
  })

  test('no timeout runs while the high watermark stops reading', () => {
    const { base, stream, far, calls } = open({ readTimeout: 5, readHigh: 1 })
    stream.enable(EV.READ)
    writeText(far, 'x')
    base.dispatch()
    expect(calls).toEqual([['read', 1]])
  })
})

describe('the end', () => {
  test('of the stream disables reading; the input stays, and writing continues', () => {
    const { stream, far, calls, pass } = open({ readLow: 100 })
    stream.enable(EV.READ)
    writeText(far, 'last words')
    socket.shutdown(far, 'write')
    pass()
    expect(calls).toEqual([['event', BEV.EOF | BEV.READING]])
    expect(stream.enabled).toBe(EV.WRITE)
    expect(String(stream.read())).toBe('last words')
    stream.write('heard you')
    pass()
    expect(readText(far)).toBe('heard you')
  })

  test('of the writing side follows the last byte, once', () => {
    const { stream, far, pass } = open({ maxSingleWrite: 2 })
    stream.write('abc').end('def').end()
    expect(refusal(() => stream.write('more'))).toBe('ERR_EVENT_CLOSED')
    pass()
    pass()
    expect(readText(far)).toBe('abcdef')
    expect(readText(far)).toBe('')
    writeText(far, 'still here')
    stream.enable(EV.READ)
    pass()
    expect(String(stream.read())).toBe('still here')
  })

  test('of a pipe follows when its writing end is closed', () => {
    const base = openBase()
    const [read, write] = openPipe()
    const failures: unknown[] = []
    const stream = new BufferEvent(base, write, {
      closeOnFree: false,
      onEvent: (_what, _stream, error) => failures.push(error),
    })
    stream.end('through')
    base.dispatch()
    expect(readText(read)).toBe('through')
    expect(readText(read)).toBeUndefined()
    stream.close()
    close(write)
    expect(readText(read)).toBe('')
    expect(failures).toEqual([])
  })

  test('a write to a closed peer is an error; the unwritten bytes remain', () => {
    const errors: unknown[] = []
    const { base, stream, far, pass } = open({
      onEvent: (what, _stream, error) => errors.push([what, error]),
    })
    fill(stream.fd)
    stream.write('lost').write('too')
    pass()
    close(far)
    base.dispatch()
    expect(errors).toEqual([[BEV.ERROR | BEV.WRITING, expect.objectContaining({ code: 'EPIPE' })]])
    expect(stream.error).toMatchObject({ code: 'EPIPE', syscall: 'writev' })
    expect(stream.enabled & EV.WRITE).toBe(0)
    expect(String(stream.output.read())).toBe('losttoo')
  })

  test('a reset is an error of reading', () => {
    const base = openBase()
    const listening = socket.listen(anyPort)
    const client = socket.connect({ host: LOOPBACK, port: portOf(socket.address(listening)) })
    const server = socket.accept(listening)
    socket.close(listening)
    const events: unknown[] = []
    const stream = new BufferEvent(base, client, {
      onEvent: (what, _stream, error) => events.push([what, error]),
    }).enable(EV.READ)
    socket.setOption(server, 'linger', 0)
    socket.close(server)
    base.dispatch()
    expect(events).toEqual([[BEV.ERROR | BEV.READING, expect.objectContaining({ code: 'ECONNRESET' })]])
    expect(stream.enabled & EV.READ).toBe(0)
    stream.close()
  })
})

describe('connecting', () => {
  test('reports CONNECTED and then sends bytes that were written before', () => {
    const base = openBase()
    const listening = socket.listen(anyPort)
    const calls: number[] = []
    const stream = new BufferEvent(base, -1, {
      onEvent: (what) => calls.push(what),
      onWrite: () => calls.push(0),
    })
    expect(stream.fd).toBe(-1)
    stream.connect({ host: LOOPBACK, port: portOf(socket.address(listening)) }).write('early')
    expect(stream.connecting).toBe(true)
    expect(refusal(() => stream.connect({ host: LOOPBACK, port: 1 }))).toBe('ERR_EVENT_ACTIVE')
    base.dispatch()
    expect(calls).toEqual([BEV.CONNECTED, 0])
    expect(stream.connecting).toBe(false)
    const server = socket.accept(listening)
    expect(readText(server)).toBe('early')
    for (const fd of [listening, server]) socket.close(fd)
    stream.close()
  })

  test('reports a refusal as an error with the address, and can be repeated', () => {
    const base = openBase()
    const before = openDescriptors()
    const port = closedPort()
    const calls: unknown[] = []
    const stream = new BufferEvent(base, -1, { onEvent: (what, _stream, error) => calls.push([what, error]) })
    for (let attempt = 0; attempt < 2; attempt += 1) {
      stream.connect({ host: LOOPBACK, port })
      base.dispatch()
      expect(stream.fd).toBe(-1)
    }
    const failure = expect.objectContaining({
      code: 'ECONNREFUSED',
      syscall: 'connect',
      address: LOOPBACK,
      port,
    })
    expect(calls).toEqual([
      [BEV.ERROR, failure],
      [BEV.ERROR, failure],
    ])
    stream.close()
    expect(openDescriptors()).toBe(before)
  })

  test('an immediate failure is thrown', () => {
    const stream = new BufferEvent(openBase(), -1)
    expect(thrownBy(() => stream.connect({ path: '/nowhere/at/all' }))).toMatchObject({ code: 'ENOENT' })
    expect(stream.connecting).toBe(false)
    expect(refusal(() => stream.connect({ host: LOOPBACK, port: 65_536 }))).toBe('ERR_OUT_OF_RANGE')
    stream.close()
  })
})

describe('triggering', () => {
  test('runs the callbacks that the watermarks allow, or all', () => {
    const { stream, calls } = open({ readLow: 5 })
    stream.disable(EV.WRITE).write('x')
    stream.trigger(EV.READ | EV.WRITE)
    expect(calls).toEqual([])
    stream.trigger(EV.READ | EV.WRITE, { ignoreWatermarks: true })
    expect(calls).toEqual([
      ['read', 0],
      ['write', 1],
    ])
    stream.triggerEvent(BEV.TIMEOUT)
    expect(calls[2]).toEqual(['event', BEV.TIMEOUT])
  })

  test('deferred, it calls from the loop in the order CONNECTED, read, write, others', () => {
    for (const deferCallbacks of [true, false]) {
      const { stream, calls, pass } = open({ deferCallbacks })
      stream.triggerEvent(BEV.EOF | BEV.READING, { defer: true })
      stream.trigger(EV.WRITE, { defer: true })
      stream.trigger(EV.READ, { defer: true })
      stream.triggerEvent(BEV.CONNECTED, { defer: true })
      expect(calls).toEqual([])
      pass()
      expect(calls).toEqual([
        ['event', BEV.CONNECTED],
        ['read', 0],
        ['write', 0],
        ['event', BEV.EOF | BEV.READING],
      ])
    }
  })

  test('a stream with deferred callbacks never calls them in trigger()', () => {
    const { stream, calls, pass } = open({ deferCallbacks: true })
    stream.trigger(EV.READ)
    expect(calls).toEqual([])
    pass()
    expect(calls).toEqual([['read', 0]])
  })

  test('an exception of a callback leaves the loop, and loses neither callbacks nor bytes', () => {
    for (const deferCallbacks of [true, false]) {
      const { base, stream, far, calls, pass } = open({ deferCallbacks })
      let isFirst = true
      stream.setCallbacks({
        onRead: ({ input, output }) => {
          input.moveTo(output)
          if (isFirst) {
            isFirst = false
            throw new Error('thrown by onRead')
          }
        },
        onWrite: () => calls.push(['write', 0]),
        onEvent: (what) => calls.push(['event', what]),
      })
      stream.enable(EV.READ)
      writeText(far, 'again')
      socket.shutdown(far, 'write')
      expect(() => base.dispatch()).toThrow('thrown by onRead')
      pass()
      expect(readText(far)).toBe('again')
      expect(calls).toContainEqual(['write', 0])
      expect(calls).toContainEqual(['event', BEV.EOF | BEV.READING])
    }
  })
})

describe('closing', () => {
  test('closes the descriptor, unless closeOnFree is false', () => {
    const base = openBase()
    const [near, far] = socket.pair()
    const stream = new BufferEvent(base, near)
    stream.close()
    stream.close()
    expect(stream.closed).toBe(true)
    expect(readText(far)).toBe('')
    new BufferEvent(base, far, { closeOnFree: false }).close()
    socket.close(far)
  })

  test('is safe inside every callback, and no other callback follows', () => {
    for (const deferCallbacks of [true, false]) {
      for (const callback of ['onRead', 'onWrite', 'onEvent'] as const) {
        const base = openBase()
        const before = openDescriptors()
        const [near, far] = socket.pair()
        let calls = 0
        const stream: BufferEvent = new BufferEvent(base, near, {
          deferCallbacks,
          [callback]: () => {
            calls += 1
            stream.close()
          },
        })
        stream.enable(EV.READ).write('x')
        socket.write(far, Buffer.from('y'))
        socket.shutdown(far, 'write')
        base.dispatch()
        expect(calls, callback).toBe(1)
        socket.close(far)
        expect(openDescriptors()).toBe(before)
      }
    }
  })

  test('the base closes its streams and their descriptors', () => {
    const base = openBase()
    const [near, far] = socket.pair()
    const stream = new BufferEvent(base, near).enable(EV.READ)
    base.close()
    expect(stream.closed).toBe(true)
    expect(readText(far)).toBe('')
    socket.close(far)
  })

  test('afterwards every call is refused, and the input remains', () => {
    const { stream, far, pass } = open()
    stream.enable(EV.READ)
    writeText(far, 'kept')
    pass()
    stream.close()
    const calls: (() => unknown)[] = [
      () => stream.enable(EV.READ),
      () => stream.disable(EV.READ),
      () => stream.write('x'),
      () => stream.end(),
      () => stream.setWatermarks({}),
      () => stream.setTimeouts({}),
      () => stream.setCaps({}),
      () => stream.setCallbacks({}),
      () => stream.trigger(EV.READ),
      () => stream.triggerEvent(BEV.EOF),
      () => stream.setFd(-1),
      () => stream.connect({ path: '/x' }),
    ]
    for (const call of calls) expect(refusal(call), String(call)).toBe('ERR_EVENT_CLOSED')
    expect(String(stream.read())).toBe('kept')
    expect(stream.fd).toBe(-1)
  })
})

describe('another descriptor', () => {
  test('replaces the previous one, and the output is kept', () => {
    const { base, stream, far, calls, pass } = open()
    const [other, farther] = openPair()
    stream.enable(EV.READ)
    fill(stream.fd)
    stream.write('for the new one')
    pass()
    const before = stream.fd
    expect(stream.setFd(other)).toBe(before)
    pass()
    expect(readText(farther)).toBe('for the new one')
    writeText(far, 'from the old one')
    writeText(farther, 'from the new one')
    pass()
    expect(String(stream.read())).toBe('from the new one')
    expect(stream.setFd(-1)).toBe(other)
    expect(base.events()).toEqual([])
    expect(calls.filter(([what]) => what === 'event')).toEqual([])
  })
})

describe('arguments', () => {
  test('that are invalid are refused', () => {
    const base = openBase()
    const [fd] = openPair()
    const make = (options: object): unknown => new BufferEvent(base, fd, options)
    const calls: [code: string, call: () => unknown][] = [
      ['ERR_INVALID_ARG_TYPE', () => new BufferEvent({} as typeof base, fd)],
      ['ERR_INVALID_ARG_TYPE', () => new BufferEvent(base, '1' as unknown as number)],
      ['ERR_OUT_OF_RANGE', () => new BufferEvent(base, -2)],
      ['ERR_INVALID_ARG_TYPE', () => new BufferEvent(base, fd, 1 as unknown as object)],
      ['ERR_INVALID_ARG_TYPE', () => make({ onRead: 1 })],
      ['ERR_INVALID_ARG_TYPE', () => make({ onWrite: 'x' })],
      ['ERR_INVALID_ARG_TYPE', () => make({ onEvent: {} })],
      ['ERR_INVALID_ARG_TYPE', () => make({ deferCallbacks: 1 })],
      ['ERR_INVALID_ARG_TYPE', () => make({ closeOnFree: 0 })],
      ['ERR_OUT_OF_RANGE', () => make({ readTimeout: -1 })],
      ['ERR_OUT_OF_RANGE', () => make({ writeTimeout: NaN })],
      ['ERR_OUT_OF_RANGE', () => make({ readLow: 1.5 })],
      ['ERR_OUT_OF_RANGE', () => make({ maxSingleRead: 0 })],
      ['ERR_OUT_OF_RANGE', () => make({ maxSingleWrite: 2 ** 31 })],
      ['ERR_OUT_OF_RANGE', () => make({ priority: 1 })],
    ]
    for (const [code, call] of calls) expect(refusal(call), String(call)).toBe(code)

    const stream = new BufferEvent(base, fd, { closeOnFree: false })
    expect(refusal(() => stream.enable(EV.READ | EV.SIGNAL))).toBe('ERR_EVENT_BAD_FLAGS')
    expect(refusal(() => stream.write(1 as unknown as string))).toBe('ERR_INVALID_ARG_TYPE')
    expect(refusal(() => stream.write(new Uint8Array(new SharedArrayBuffer(4))))).toBe('ERR_INVALID_ARG_TYPE')
    expect(refusal(() => stream.read(-1))).toBe('ERR_OUT_OF_RANGE')
    expect(refusal(() => stream.triggerEvent(4))).toBe('ERR_EVENT_BAD_FLAGS')
    expect(stream.write('').output.length).toBe(0)
    stream.close()
  })

  test('a descriptor that is not open is refused where it is first needed', () => {
    const base = openBase()
    const [fd, far] = socket.pair()
    for (const one of [fd, far]) socket.close(one)
    const errors: unknown[] = []
    const stream = new BufferEvent(base, fd, {
      closeOnFree: false,
      onEvent: (_what, _stream, error) => errors.push(error),
    })
    expect(thrownBy(() => stream.enable(EV.READ))).toMatchObject({ code: 'EBADF' })
    expect(stream.enabled).toBe(EV.WRITE)
    stream.write('nowhere')
    base.dispatch()
    expect(errors).toEqual([expect.objectContaining({ code: 'EBADF', syscall: 'write' })])
    stream.close()
  })

  test('memory that was transferred before it was sent is an error, not an endless loop', () => {
    const base = openBase()
    const [near] = openPair()
    const errors: unknown[] = []
    const stream = new BufferEvent(base, near, {
      closeOnFree: false,
      onEvent: (_what, _stream, error) => errors.push(error),
    })
    const bytes = new Uint8Array(8)
    stream.write(bytes)
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    base.dispatch()
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' })])
    stream.close()
  })
})
