import { describe, expect, test } from 'vitest'

import { EV } from '../../index.js'
import { BEV, BufferEvent, socket, type BufferEventOptions } from '../../net.js'
import { openBase } from '../support/base.js'
import { fill, readText, openPair } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'

/** A pair, and the calls of the callbacks of the second stream. */
function openLinked(options: BufferEventOptions = {}): {
  base: ReturnType<typeof openBase>
  first: BufferEvent
  second: BufferEvent
  calls: unknown[]
} {
  const base = openBase()
  const [first, second] = BufferEvent.pair(base, options)
  const calls: unknown[] = []
  second.setCallbacks({
    onRead: ({ input }) => calls.push(['read', input.length]),
    onWrite: ({ output }) => calls.push(['write', output.length]),
    onEvent: (what, _stream, error) => calls.push(error === undefined ? what : [what, error]),
  })
  return { base, first, second, calls }
}

describe('a pair', () => {
  test('moves bytes from one to the other without copying them, once the other reads', () => {
    const { base, first, second, calls } = openLinked()
    const bytes = Buffer.from('through memory')
    first.write(bytes)
    base.dispatch()
    expect(calls).toEqual([])
    expect(first.output.length).toBe(14)
    second.enable(EV.READ)
    expect(calls).toEqual([])
    base.dispatch()
    expect(calls).toEqual([['read', 14]])
    expect(second.read()?.buffer).toBe(bytes.buffer)
    expect(first.stats.bytesWritten).toBe(14)
    expect(second.stats.bytesRead).toBe(14)
  })

  test('moves all of its bytes although its limit refills while they are moved', () => {
    const { base, first, second } = openLinked({ limit: { rate: 1000, burst: 10 } })
    let now = base.monotonic()
    base.monotonic = () => (now += 1000)
    second.enable(EV.READ)
    first.write(Buffer.alloc(95))
    base.dispatch()
    expect(second.input.length).toBe(95)
  })

  test('has no descriptor', () => {
    const { first } = openLinked()
    expect(first.fd).toBe(-1)
    expect(refusal(() => first.setFd(-1))).toBe('ERR_EVENT_BAD_FLAGS')
    expect(refusal(() => first.connect({ path: '/x' }))).toBe('ERR_EVENT_BAD_FLAGS')
  })

  test('calls onWrite when its bytes have moved', () => {
    const { base, first, second, calls } = openLinked()
    first.enable(EV.READ)
    second.write('gone')
    expect(calls).toEqual([])
    base.dispatch()
    expect(calls).toEqual([['write', 0]])
  })

  test('respects the high watermark of the reader, which a flush does not', () => {
    const { base, first, second, calls } = openLinked()
    second.setWatermarks({ readHigh: 4 }).enable(EV.READ)
    first.write('123456789')
    base.dispatch()
    expect(calls).toEqual([['read', 4]])
    expect(first.output.length).toBe(5)
    second.read(2)
    expect(second.input.length).toBe(4)
    expect(first.flush(EV.WRITE, 'normal')).toBe(false)
    expect(first.flush(EV.WRITE, 'flush')).toBe(true)
    expect(String(second.read())).toBe('3456789')
  })

  test('a flush of the reading side moves the bytes of the other', () => {
    const { first, second } = openLinked({ readHigh: 2 })
    second.enable(EV.READ)
    first.write('abcdef')
    expect(second.input.length).toBe(2)
    second.flush(EV.READ, 'flush')
    expect(second.input.length).toBe(6)
  })

  test('the end follows the last byte, and the other direction continues', () => {
    const { base, first, second, calls } = openLinked({ readHigh: 3 })
    second.enable(EV.READ)
    first.write('12345').end()
    base.dispatch()
    expect(calls).toEqual([['read', 3]])
    second.read()
    base.dispatch()
    expect(calls).toEqual([['read', 3], ['read', 2], BEV.EOF | BEV.READING])
    expect(second.enabled).toBe(EV.WRITE)
    first.enable(EV.READ)
    second.write('still')
    expect(String(first.read())).toBe('sti')
    expect(String(first.read())).toBe('ll')
  })

  test('the end does not overtake bytes that arrive while others are read', () => {
    const { base, first, second, calls } = openLinked({ readHigh: 2 })
    second.setCallbacks({
      onRead: (stream) => calls.push(String(stream.read())),
      onEvent: (what) => calls.push(what),
    })
    second.enable(EV.READ)
    first.end('12345')
    base.dispatch()
    expect(calls).toEqual(['12', '34', '5', BEV.EOF | BEV.READING])
  })

  test('finishing by a flush ends it too', () => {
    const { base, first, second, calls } = openLinked()
    second.enable(EV.READ)
    first.write('x').flush(EV.WRITE, 'finished')
    base.dispatch()
    expect(calls).toEqual([['read', 1], BEV.EOF | BEV.READING])
  })

  test('when one is closed the other reads the end, and cannot write', () => {
    const { base, first, second, calls } = openLinked()
    second.enable(EV.READ)
    first.write('last').close()
    second.write('lost')
    base.dispatch()
    expect(calls).toEqual([
      ['read', 4],
      [BEV.EOF | BEV.READING | BEV.ERROR | BEV.WRITING, expect.anything()],
    ])
    expect(second.error).toMatchObject({ code: 'EPIPE', syscall: 'write' })
    expect(second.output.length).toBe(4)
    expect(second.enabled).toBe(0)
  })

  test('a stream that starts to read after the other was closed reads the end', () => {
    const { base, first, second, calls } = openLinked()
    first.close()
    second.enable(EV.READ)
    base.dispatch()
    expect(calls).toEqual([BEV.EOF | BEV.READING])
  })

  test('timeouts run as on a descriptor', () => {
    const { base, first, second, calls } = openLinked()
    second.setTimeouts({ readTimeout: 2, writeTimeout: 4 }).enable(EV.READ).write('nobody reads')
    base.dispatch()
    expect(calls).toEqual([BEV.TIMEOUT | BEV.READING, BEV.TIMEOUT | BEV.WRITING])
    expect(second.enabled).toBe(0)
    first.enable(EV.READ)
    base.dispatch()
    expect(first.input.length).toBe(0)
  })

  test('a limit applies to it', () => {
    const { base, first, second } = openLinked()
    second.setLimit({ read: { rate: 20_000, burst: 100 } }).enable(EV.READ)
    const begin = base.monotonic()
    first.write(Buffer.alloc(1100)).end()
    expect(second.input.length).toBeGreaterThanOrEqual(100)
    expect(second.input.length).toBeLessThanOrEqual(101 + (base.monotonic() - begin) * 20)
    base.dispatch()
    expect(second.input.length).toBe(1100)
    expect(base.monotonic() - begin).toBeGreaterThanOrEqual(49)
  })

  test('is closed with its base', () => {
    const { base, first, second } = openLinked({ readTimeout: 10_000, limit: { rate: 1 } })
    first.enable(EV.READ)
    base.close()
    expect([first.closed, second.closed]).toEqual([true, true])
  })
})

describe('flushing a descriptor', () => {
  test('writes immediately what is accepted', () => {
    const base = openBase()
    const [near, far] = openPair()
    const stream = new BufferEvent(base, near, { closeOnFree: false })
    stream.write('now')
    expect(stream.flush(EV.WRITE, 'normal')).toBe(false)
    expect(readText(far)).toBeUndefined()
    expect(stream.flush(EV.WRITE, 'flush')).toBe(true)
    expect(readText(far)).toBe('now')
    stream.write('and the end').flush(EV.WRITE, 'finished')
    expect(readText(far)).toBe('and the end')
    expect(readText(far)).toBe('')
    stream.close()
  })

  test('returns whether something is left, and reports failures', () => {
    const base = openBase()
    const [near, far] = socket.pair()
    const calls: unknown[] = []
    const stream = new BufferEvent(base, near, { onEvent: (what) => calls.push(what) })
    fill(near)
    expect(stream.write('left').flush(EV.WRITE, 'flush')).toBe(false)
    socket.close(far)
    expect(stream.flush(EV.WRITE, 'flush')).toBe(false)
    expect(calls).toEqual([BEV.ERROR | BEV.WRITING])
    expect(refusal(() => stream.flush(EV.WRITE, 'all' as 'flush'))).toBe('ERR_OUT_OF_RANGE')
    stream.close()
  })
})
