import { describe, expect, test } from 'vitest'

import { ByteQueue, type LineEnd } from '../../net.js'
import { refusal } from '../support/errors.js'

/** A queue of the given chunks, which are not adjacent in memory. */
function queueOf(...texts: string[]): ByteQueue {
  const queue = new ByteQueue()
  for (const text of texts) queue.append(Uint8Array.from(Buffer.from(text)))
  return queue
}

/** Moves bytes to another queue, and returns the first chunk there. */
function movedFrom(queue: ByteQueue, count: number): Buffer | undefined {
  const target = new ByteQueue()
  queue.moveTo(target, count)
  return target.shift()
}

/** Detaches the memory of some bytes, as transferring it to a worker does. */
function transfer(bytes: Uint8Array): void {
  const buffer = bytes.buffer as ArrayBuffer
  structuredClone(buffer, { transfer: [buffer] })
}

describe('removing bytes', () => {
  test('reads pieces of any length, across chunks', () => {
    const queue = queueOf('ab', 'cde', 'f')
    expect(queue.length).toBe(6)
    expect(String(queue.read(1))).toBe('a')
    expect(String(queue.read(3))).toBe('bcd')
    expect(queue.read(0)).toBeUndefined()
    expect(String(queue.read(100))).toBe('ef')
    expect(queue.read()).toBeUndefined()
    expect(queue.length).toBe(0)
  })

  test('returns whole chunks without copying them', () => {
    const bytes = Buffer.from('one chunk')
    expect(new ByteQueue().append(bytes).shift()).toBe(bytes)
    expect(new ByteQueue().append(bytes).read()).toBe(bytes)
    expect(new ByteQueue().append(bytes).peek(3)?.buffer).toBe(bytes.buffer)
  })

  test.each([
    ['read() of a short piece', (queue: ByteQueue) => queue.read(2)],
    ['read() of a long piece', (queue: ByteQueue) => queue.read(7)],
    ['read() across chunks', (queue: ByteQueue) => queue.read(11)],
    ['readLine()', (queue: ByteQueue) => queue.readLine()],
    ['moveTo() of a part', (queue: ByteQueue) => movedFrom(queue, 4)],
  ])('%s returns memory that the queue does not refer to', (_name, take) => {
    const text = 'abc\ndefghijklm'
    const queue = queueOf(text.slice(0, 10), text.slice(10))
    const piece = take(queue) as Buffer
    const rest = text.slice(text.length - queue.length)
    transfer(piece)
    expect(String(queue.read())).toBe(rest)
  })

  test('peek() leaves bytes in the queue, and joins them', () => {
    const queue = queueOf('ab', 'cd', 'ef')
    expect(String(queue.peek(3))).toBe('abc')
    expect(queue.chunks.map(String)).toEqual(['abc', 'd', 'ef'])
    expect(String(queue.peek())).toBe('abcdef')
    expect(queue.chunks).toHaveLength(1)
    expect(queue.length).toBe(6)
  })

  test('discards at most the length of the queue', () => {
    const queue = queueOf('abc', 'def')
    expect(queue.drain(4)).toBe(4)
    expect(String(queue.peek())).toBe('ef')
    expect(queue.drain()).toBe(2)
    expect(queue.drain(1)).toBe(0)
  })

  test('the list of chunks is a copy, so that changing it does not change the queue', () => {
    const queue = queueOf('ab', 'cd', 'ef')
    const chunks = queue.chunks as Buffer[]
    chunks.length = 1
    chunks.push(Buffer.from('other'))
    Object.defineProperty(chunks, 0, { get: () => queue.shift() })
    expect(String(queue.peek(3))).toBe('abc')
    expect(String(queue.read())).toBe('abcdef')
  })

  test('many chunks are released as they are removed', () => {
    const queue = queueOf(...Array.from({ length: 1000 }, (_, index) => String(index % 10)))
    for (let index = 0; index < 990; index += 1) expect(String(queue.shift())).toBe(String(index % 10))
    expect(queue.chunks).toHaveLength(10)
    expect(String(queue.read())).toBe('0123456789')
  })
})

describe('adding bytes', () => {
  test('at the front and at the back', () => {
    const queue = queueOf('b').prepend('a').append('c')
    queue.read(1)
    expect(String(queue.prepend('A').peek())).toBe('Abc')
  })

  test('adjacent chunks become one', () => {
    const bytes = Buffer.from('abcdef')
    const queue = new ByteQueue().append(bytes.subarray(0, 2)).append(bytes.subarray(2, 5))
    expect(queue.chunks.map(String)).toEqual(['abcde'])
    queue.append(bytes.subarray(0, 2))
    expect(queue.chunks.map(String)).toEqual(['abcde', 'ab'])
  })

  test('moves bytes to another queue without copying them', () => {
    const from = queueOf('abc', 'def')
    const to = queueOf('x')
    const { buffer } = from.chunks[0] as Buffer
    expect(from.moveTo(to, 4)).toBe(4)
    expect(String(from.peek())).toBe('ef')
    expect(to.chunks.map(String)).toEqual(['x', 'abc', 'd'])
    expect(to.chunks[1]?.buffer).toBe(buffer)
    expect(from.moveTo(to)).toBe(2)
    expect(String(to.read())).toBe('xabcdef')
  })
})

describe('finding bytes', () => {
  test('finds them in a chunk, across chunks, and from a position', () => {
    const queue = queueOf('ab', 'c', 'abcd', 'ab')
    expect(queue.indexOf('abca')).toBe(0)
    expect(queue.indexOf('abcd')).toBe(3)
    expect(queue.indexOf('bca')).toBe(1)
    expect(queue.indexOf('ab', 1)).toBe(3)
    expect(queue.indexOf('ab', 4)).toBe(7)
    expect(queue.indexOf('abc', 4)).toBe(-1)
    expect(queue.indexOf(Buffer.from('d'))).toBe(6)
    expect(queue.indexOf('ab', 100)).toBe(-1)
  })

  test('returns the same position for every division into chunks', () => {
    const text = 'aabaabaaab'
    for (let cuts = 0; cuts < 1 << (text.length - 1); cuts += 1) {
      const chunks = [text[0] as string]
      for (let index = 1; index < text.length; index += 1) {
        if (cuts & (1 << (index - 1))) chunks.push(text[index] as string)
        else chunks[chunks.length - 1] += text[index] as string
      }
      const queue = queueOf(...chunks)
      for (const needle of ['aaab', 'ab', 'baab', 'bb', 'aabaabaaab']) {
        for (const from of [0, 3]) {
          expect(queue.indexOf(needle, from), `${chunks.join('|')}: ${needle}`).toBe(
            text.indexOf(needle, from),
          )
        }
      }
    }
  })

  const lines: [LineEnd, string[], (string | undefined)[]][] = [
    ['crlf', ['one\r', '\ntwo\nthr', 'ee'], ['one', 'two', undefined]],
    ['crlf', ['\n\r\nx\r'], ['', '', undefined]],
    ['crlf-strict', ['a\nb\r', '\nc'], ['a\nb', undefined]],
    ['lf', ['a\r\nb\n'], ['a\r', 'b', undefined]],
    ['nul', ['a\0', 'b\0\0'], ['a', 'b', '', undefined]],
    ['any', ['a\r', '\n\n', '\rb\n'], ['a', 'b', undefined]],
  ]
  test.each(lines)('removes lines that end with %s: %j', (end, chunks, expected) => {
    const queue = queueOf(...chunks)
    for (const line of expected) expect(queue.readLine(end)?.toString()).toBe(line)
  })
})

test('memory that was transferred before it is added has no bytes', () => {
  const bytes = new Uint8Array(4)
  structuredClone(bytes, { transfer: [bytes.buffer] })
  const queue = new ByteQueue()
  queue.append(bytes)
  queue.prepend(bytes)
  expect(queue.length).toBe(0)
})

describe('bytes whose memory was transferred while they were in the queue', () => {
  const calls: [string, (queue: ByteQueue) => unknown][] = [
    ['shift', (queue) => queue.shift()],
    ['read', (queue) => queue.read()],
    ['read of a part', (queue) => queue.read(1)],
    ['peek', (queue) => queue.peek()],
    ['peek at a part', (queue) => queue.peek(1)],
    ['drain of a part', (queue) => queue.drain(1)],
    ['moveTo', (queue) => queue.moveTo(new ByteQueue())],
    ['moveTo of a part', (queue) => queue.moveTo(new ByteQueue(), 1)],
    ['indexOf', (queue) => queue.indexOf('f')],
    ['readLine', (queue) => queue.readLine()],
    ['chunks', (queue) => queue.chunks],
  ]
  test.each(calls)('are reported once by %s, which leaves the other bytes', (_name, call) => {
    const lost = Uint8Array.from(Buffer.from('lost'))
    const queue = queueOf('kept')
      .prepend(lost)
      .append(Uint8Array.from(Buffer.from('also')))
    transfer(lost)
    expect(refusal(() => call(queue))).toBe('ERR_OUT_OF_RANGE')
    expect(queue.length).toBe(8)
    expect(String(queue.read())).toBe('keptalso')
    expect(queue.shift()).toBeUndefined()
  })

  test('behind other bytes are reported when they are reached', () => {
    const lost = Uint8Array.from(Buffer.from('lost'))
    const queue = queueOf('kept').append(lost)
    transfer(lost)
    expect(String(queue.read(4))).toBe('kept')
    expect(refusal(() => queue.read(1))).toBe('ERR_OUT_OF_RANGE')
    expect(queue.length).toBe(0)
  })

  test('can be discarded with all others', () => {
    const lost = Uint8Array.from(Buffer.from('lost'))
    const queue = queueOf('kept').append(lost)
    transfer(lost)
    expect(queue.drain()).toBe(8)
    expect(queue.length).toBe(0)
    expect(String(queue.append('new').read())).toBe('new')
  })

  test('of a resizable buffer that shrank are lost too', () => {
    const memory = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 16 }]) as ArrayBuffer
    const queue = new ByteQueue().append(new Uint8Array(memory)).append('rest')
    ;(memory as unknown as { resize(length: number): void }).resize(4)
    expect(refusal(() => queue.read())).toBe('ERR_OUT_OF_RANGE')
    expect(String(queue.read())).toBe('rest')
  })

  test('are reported also where V8 returns their old length once', () => {
    const lost = Buffer.from(Uint8Array.from(Buffer.from('lost')).buffer)
    const queue = queueOf('kept').append(lost)
    transfer(lost)
    let reads = 0
    Object.defineProperty(lost, 'length', { get: () => (reads++ === 0 ? 4 : 0) })
    expect(refusal(() => queue.peek())).toBe('ERR_OUT_OF_RANGE')
    expect(String(queue.read())).toBe('kept')
  })

  test('are not replaced by bytes that are added from the same memory', () => {
    const memory = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 8 }]) as ArrayBuffer
    const queue = new ByteQueue().append(new Uint8Array(memory, 4))
    ;(memory as unknown as { resize(length: number): void }).resize(4)
    queue.append(new Uint8Array(memory).fill(97))
    expect(refusal(() => queue.read(4))).toBe('ERR_OUT_OF_RANGE')
    expect(String(queue.read())).toBe('aaaa')
  })
})

test('invalid arguments are refused', () => {
  const queue = queueOf('abc')
  expect(refusal(() => queue.append(1 as unknown as string))).toBe('ERR_INVALID_ARG_TYPE')
  expect(refusal(() => queue.prepend(new Uint8Array(new SharedArrayBuffer(1))))).toBe('ERR_INVALID_ARG_TYPE')
  expect(refusal(() => queue.read(-1))).toBe('ERR_OUT_OF_RANGE')
  expect(refusal(() => queue.peek(0.5))).toBe('ERR_OUT_OF_RANGE')
  expect(refusal(() => queue.drain('1' as unknown as number))).toBe('ERR_INVALID_ARG_TYPE')
  expect(refusal(() => queue.moveTo(queue))).toBe('ERR_OUT_OF_RANGE')
  expect(refusal(() => queue.moveTo({} as ByteQueue))).toBe('ERR_INVALID_ARG_TYPE')
  expect(refusal(() => queue.indexOf(''))).toBe('ERR_OUT_OF_RANGE')
  expect(refusal(() => queue.indexOf('a', -1))).toBe('ERR_OUT_OF_RANGE')
  expect(refusal(() => queue.readLine('cr' as LineEnd))).toBe('ERR_OUT_OF_RANGE')
  expect(String(queue.read())).toBe('abc')
})
