import { Writable } from 'node:stream'

import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { Output } from '../../ts/cli/output.js'
import { reportOn, type Report } from '../../ts/cli/report.js'
import { stats, upstream } from './support.js'

const SECOND = 1000
const problem = { kind: 'upstreamUp', upstream: 'a:1' } as const

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A report on a stream that is read immediately, and the text that the stream has received. */
function reporting({ isTTY = false, wantsStats = true }): {
  report: Report
  written: () => string
  resize: (columns: number) => void
} {
  let text = ''
  const stream = Object.assign(
    new Writable({
      write(chunk: Buffer, _encoding, callback) {
        text += String(chunk)
        callback()
      },
    }),
    { fd: -1, isTTY, columns: 140, rows: 24 },
  )
  const out = new Output(stream as unknown as ConstructorParameters<typeof Output>[0])
  const written = (): string => {
    const all = text.replaceAll('\x1b[K', '')
    text = ''
    return all
  }
  const resize = (columns: number): void => {
    stream.columns = columns
    stream.emit('resize')
  }
  return { report: reportOn(out, wantsStats), written, resize }
}

function parse(lines: string): unknown[] {
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)
}

test('without --stats only problems are reported, as text', () => {
  const { report, written } = reporting({ isTTY: true, wantsStats: false })
  report.begin('title', () => stats([upstream('a:1')]))
  vi.advanceTimersByTime(3 * SECOND)
  report.problem(problem)
  report.end()
  expect(written()).toBe('upstream a:1 is back\n')
})

test('a line of JSON is written in each second in which a value has changed, and one with the sums at the end', () => {
  const { report, written } = reporting({})
  let now = stats([upstream('a:1')])
  report.begin('title', () => now)
  expect(written()).toBe('')
  vi.advanceTimersByTime(SECOND)
  expect(parse(written())).toMatchObject([{ type: 'stats', accepted: 0, upstreams: [{ name: 'a:1' }] }])
  vi.advanceTimersByTime(2 * SECOND)
  expect(written()).toBe('')
  now = stats([upstream('a:1')], { accepted: 1 })
  vi.advanceTimersByTime(2 * SECOND)
  expect(parse(written())).toMatchObject([{ type: 'stats', accepted: 1 }])
  report.end()
  expect(parse(written())).toMatchObject([{ type: 'total', accepted: 1 }])
  now = stats([], { accepted: 2 })
  vi.advanceTimersByTime(3 * SECOND)
  expect(written()).toBe('')
})

test('the time until an upstream is probed is in a line of JSON, and is no reason to write one', () => {
  const { report, written } = reporting({})
  let retryAfter = 5000
  report.begin('title', () => stats([upstream('a:1', { state: 'down', retryAfter })]))
  vi.advanceTimersByTime(SECOND)
  expect(parse(written())).toMatchObject([{ upstreams: [{ retryAfter: 5000 }] }])
  retryAfter = 4000
  vi.advanceTimersByTime(SECOND)
  expect(written()).toBe('')
})

test('a problem is a line of JSON with the message and the code of its error', () => {
  const { report, written } = reporting({})
  const error = Object.assign(new Error('no address'), { code: 'ENOTFOUND' })
  report.problem({ kind: 'lookupFailed', upstream: 'a:1', error })
  report.problem({ kind: 'acceptFailed', error: new Error('odd'), retryAfter: 7 })
  report.problem(problem)
  const time = expect.any(String) as string
  expect(parse(written())).toEqual([
    { type: 'problem', time, kind: 'lookupFailed', upstream: 'a:1', error: 'no address', code: 'ENOTFOUND' },
    { type: 'problem', time, kind: 'acceptFailed', error: 'odd', retryAfter: 7 },
    { type: 'problem', time, ...problem },
  ])
})

test('a report that ends before the traffic begins has no sums', () => {
  const { report, written } = reporting({})
  report.end()
  expect(written()).toBe('')
})

test('the table is drawn when the traffic begins, every second, and at the end', () => {
  const { report, written } = reporting({ isTTY: true })
  let accepted = 17
  report.begin('a title', () => stats([upstream('a:1')], { accepted: accepted++ }))
  expect(written()).toMatch(/^.*a title, up 0:00:00\n.*\nall .* 17 /)
  vi.advanceTimersByTime(SECOND)
  expect(written()).toMatch(/a title, up 0:00:01\n.*\nall .* 18 /)
  vi.advanceTimersByTime(SECOND)
  expect(written()).toMatch(/a title, up 0:00:02\n.*\nall .* 19 /)
  report.end()
  const last = written()
  expect(last).toMatch(/a title, up 0:00:02, ended\n.*\nall .* 20 /)
  expect(last.endsWith('\x1b[?25h')).toBe(true)
  vi.advanceTimersByTime(3 * SECOND)
  expect(written()).toBe('')
})

test('on a terminal a problem is text, and the table is drawn again below it', () => {
  const { report, written } = reporting({ isTTY: true })
  report.problem(problem)
  expect(written()).toBe('upstream a:1 is back\n')
  report.begin('a title', () => stats([upstream('a:1')]))
  written()
  report.problem(problem)
  const text = written()
  expect(text.match(/is back/g)).toHaveLength(1)
  expect(text).toMatch(/upstream a:1 is back\n.*a title, up/)
})

test('a report on a terminal that ends before the traffic begins writes nothing', () => {
  const { report, written } = reporting({ isTTY: true })
  report.end()
  expect(written()).toBe('')
})

test('the table is drawn again when the size of the terminal has changed, until the end', () => {
  const { report, written, resize } = reporting({ isTTY: true })
  report.begin('a title', () => stats([upstream('a:1')]))
  expect(written()).toContain('unserved')
  resize(60)
  const narrow = written()
  expect(narrow).toMatch(/a title, up 0:00:00\n +state +open +refused +failed +A→B\/s\n/)
  report.end()
  written()
  resize(140)
  expect(written()).toBe('')
})

test('a drain is a line of JSON, or in the title of the table', () => {
  const lines = reporting({})
  lines.report.begin('title', () => stats([upstream('a:1')], { open: 3 }))
  lines.report.drain(10_000)
  const time = expect.any(String) as string
  expect(parse(lines.written())).toEqual([{ type: 'drain', time, timeout: 10_000, open: 3 }])
  const table = reporting({ isTTY: true })
  table.report.begin('a title', () => stats([upstream('a:1')]))
  table.written()
  table.report.drain(10_000)
  expect(table.written()).toContain('a title, up 0:00:00, draining for 10 s at most\n')
  const plain = reporting({ isTTY: true, wantsStats: false })
  plain.report.begin('title', () => stats([upstream('a:1')]))
  plain.report.drain(10_000)
  expect(plain.written()).toBe('')
})
