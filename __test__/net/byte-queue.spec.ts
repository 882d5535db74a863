import { describe, expect, test } from 'vitest'

import { ByteQueue, type LineEnd } from '../../net.js'
import { refusal } from '../support/errors.js'

/** A queue of the given chunks, none of which lies behind the one before in memory. */
function queueOf(...texts: string[]): ByteQueue {
  const queue = new ByteQueue()
  for (const text of texts) queue.append(Uint8Array.from(Buffer.from(text)))
  return queue
}

describe('taking out', () => {
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

  test('copies nothing that lies in one chunk', () => {
    const bytes = Buffer.from('one chunk')
    const queue = new ByteQueue().append(bytes)
    const piece = queue.read(3)
    bytes.write('ONE')
    expect(String(piece)).toBe('ONE')
    expect(queue.shift()?.buffer).toBe(bytes.buffer)
  })

  test('what is looked at stays, and is one piece from then on', () => {
    const queue = queueOf('ab', 'cd', 'ef')
    expect(String(queue.peek(3))).toBe('abc')
    expect(queue.chunks.map(String)).toEqual(['abc', 'd', 'ef'])
    expect(String(queue.peek())).toBe('abcdef')
    expect(queue.chunks).toHaveLength(1)
    expect(queue.length).toBe(6)
  })

  test('drops as much as there is', () => {
    const queue = queueOf('abc', 'def')
    expect(queue.drain(4)).toBe(4)
    expect(String(queue.peek())).toBe('ef')
    expect(queue.drain()).toBe(2)
    expect(queue.drain(1)).toBe(0)
  })

  test('a long row of chunks is forgotten as it goes', () => {
    const queue = queueOf(...Array.from({ length: 1000 }, (_, index) => String(index % 10)))
    for (let index = 0; index < 990; index += 1) expect(String(queue.shift())).toBe(String(index % 10))
    expect(queue.chunks).toHaveLength(10)
    expect(String(queue.read())).toBe('0123456789')
  })
})

describe('putting in', () => {
  test('before and behind', () => {
    const queue = queueOf('b').prepend('a').append('c')
    queue.read(1)
    expect(String(queue.prepend('A').peek())).toBe('Abc')
  })

  test('chunks that lie behind each other become one', () => {
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

describe('looking for bytes', () => {
  test('finds them in a chunk, across chunks, and from a place on', () => {
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

  test('agrees with searching one piece, for every way to cut it', () => {
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
  test.each(lines)('takes out lines that end with %s: %j', (end, chunks, expected) => {
    const queue = queueOf(...chunks)
    for (const line of expected) expect(queue.readLine(end)?.toString()).toBe(line)
  })
})

test('what cannot be meant is refused', () => {
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
