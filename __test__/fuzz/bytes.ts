/** Bytes of a stream: lines and searches in a queue, and the parsers of the examples. */

import * as fc from 'fast-check'
import { expect } from 'vitest'

import { parseRequest } from '../../examples/http-connect.js'
import { parseServerName, type Hello } from '../../examples/shared/client-hello.js'
import { ByteQueue, type LineEnd } from '../../net.js'
import { changesOf, corpus, property, textChangesOf, texts, wordsOf, type Property } from './support.js'

/** Bytes in chunks: a few different ones, so that ends of lines and parts of a needle are frequent. */
const chunks = fc.array(
  fc
    .array(fc.constantFrom(0, 0x0d, 0x0a, 0x61, 0x62), { minLength: 1, maxLength: 8 })
    .map((bytes) => Buffer.from(bytes)),
  { maxLength: 6 },
)

function queueOf(parts: readonly Buffer[]): ByteQueue {
  const queue = new ByteQueue()
  for (const part of parts) queue.append(Buffer.from(part))
  return queue
}

const ENDS: Readonly<Record<LineEnd, RegExp>> = {
  any: /[\r\n]+/,
  crlf: /\r?\n/,
  'crlf-strict': /\r\n/,
  lf: /\n/,
  nul: /\0/,
}

/** All lines of a text, and what is left, by a pattern. */
function linesOf(text: string, end: LineEnd): { lines: string[]; rest: string } {
  const lines: string[] = []
  let rest = text
  for (;;) {
    const match = ENDS[end].exec(rest)
    if (match === null) return { lines, rest }
    lines.push(rest.slice(0, match.index))
    rest = rest.slice(match.index + match[0].length)
  }
}

/** The result of a parser, or its message. Its errors are made for the peer; any other error is thrown. */
function resultOf<T>(parse: () => T): T | string {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof Error) || error.constructor === TypeError || error.constructor === RangeError)
      throw error
    return error.message
  }
}

const hellos = corpus('hello').map((file) =>
  Buffer.from(file.toString('latin1').replaceAll(/\s/g, ''), 'hex'),
)

const requestWords = wordsOf(
  'CONNECT',
  ' ',
  'HTTP/1.1',
  'HTTP/2.0',
  'GET',
  '\r\n',
  ':',
  '443',
  '0',
  '[::1]',
  '.',
  'a',
)

export const bytes: readonly Property[] = [
  property(
    'lines in chunks are those of the whole text',
    fc.tuple(chunks, fc.constantFrom<LineEnd>('any', 'crlf', 'crlf-strict', 'lf', 'nul')),
    corpus('lines').flatMap((file) => [
      [[file], 'crlf'] as [Buffer[], LineEnd],
      [
        [file.subarray(0, 3), file.subarray(3, 4), file.subarray(4)].filter(({ length }) => length > 0),
        'any',
      ] as [Buffer[], LineEnd],
    ]),
    ([parts, end]) => {
      const text = Buffer.concat(parts).toString('latin1')
      const queue = queueOf(parts)
      const lines: string[] = []
      for (let line = queue.readLine(end); line !== undefined; line = queue.readLine(end)) {
        lines.push(line.toString('latin1'))
      }
      expect({ lines, rest: queue.read()?.toString('latin1') ?? '' }).toEqual(linesOf(text, end))
    },
  ),

  property(
    'a search in chunks finds what a search in the whole text finds',
    fc.tuple(chunks, fc.array(fc.constantFrom(0x0d, 0x61, 0x62), { minLength: 1, maxLength: 5 }), fc.nat(50)),
    [],
    ([parts, needle, from]) => {
      const whole = Buffer.concat(parts)
      expect(queueOf(parts).indexOf(Buffer.from(needle), from)).toBe(whole.indexOf(Buffer.from(needle), from))
    },
  ),

  property(
    'a TLS hello that is cut anywhere is incomplete, or has the result of the whole',
    fc.oneof(
      changesOf(
        hellos,
        fc.uint8Array({ maxLength: 3 }).map((added) => Buffer.from(added)),
      ),
      fc.uint8Array({ maxLength: 100 }).map((added) => Buffer.from(added)),
    ),
    hellos,
    (hello) => {
      const whole = resultOf(() => parseServerName(hello))
      for (let length = 0; length < hello.length; length += 1) {
        const part = resultOf(() => parseServerName(hello.subarray(0, length)))
        if (typeof part !== 'string' && !(part as Hello).whole) continue
        expect({ length, part }).toEqual({ length, part: whole })
      }
    },
  ),

  property(
    'an HTTP request has a target, or is refused',
    fc.oneof(requestWords, textChangesOf(texts('request'), requestWords)),
    texts('request'),
    (head) => {
      const target = resultOf(() => parseRequest(head))
      if (typeof target === 'string') return
      expect(target.host).not.toBe('')
      expect(target.port >= 1 && target.port <= 65_535).toBe(true)
      const host = target.host.includes(':') ? `[${target.host}]` : target.host
      expect(parseRequest(`CONNECT ${host}:${target.port} HTTP/1.1`)).toEqual(target)
    },
  ),
]
