/** The examples that read a FIFO, a terminal and an input device. */

import { spawnSync } from 'node:child_process'
import { constants, openSync, rmSync, writeSync, closeSync } from 'node:fs'
import { endianness } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { Lines } from '../../examples/fifo-reader.js'
import { InputEvents, RECORD } from '../../examples/shared/input-events.js'
import { Keys } from '../../examples/shared/keys.js'
import type { Running } from '../cli/support.js'
import { folder } from '../net/support.js'
import { commandOf, hasTerminals, OnTerminal } from '../support/terminal.js'
import { processorSeconds } from '../../scripts/lib/system.mjs'
import { example } from './support.js'

/** A new FIFO. */
function fifo(): string {
  const path = join(folder(), 'fifo')
  const { status, stderr } = spawnSync('mkfifo', [path])
  if (status !== 0) throw new Error(`mkfifo: ${String(stderr)}`)
  return path
}

/** Opens a FIFO that has a reader, writes to it, and closes it. */
function put(path: string, ...pieces: (string | Uint8Array)[]): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  for (const piece of pieces) {
    const bytes = Buffer.from(piece)
    if (writeSync(fd, bytes) !== bytes.length) throw new Error('the FIFO is full')
  }
  closeSync(fd)
}

/** Stops a reader, which must have printed only one line on its standard error. */
async function stopped(running: Running, signal: NodeJS.Signals): Promise<string> {
  running.process.kill(signal)
  const { code, out, err } = await running.ended
  expect([code, err]).toEqual([0, 'reading\n'])
  return out
}

test('fifo-reader reads from several writers in sequence', async () => {
  const path = fifo()
  const running = example('fifo-reader', path)
  await running.waitForOutput(/reading/)
  put(path, 'one\ntw', 'o\n')
  await running.waitForOutput(/two/)
  // Writers that open the FIFO before the reader has noticed the end of the previous one, and some that write nothing.
  for (let index = 0; index < 50; index++) {
    if (index % 3 === 0) put(path)
    put(path, `line ${index}\n`)
  }
  await running.waitForOutput(/line 49\n/)
  put(path, 'without an end')
  await running.waitForOutput(/without an end\n/)
  put(path, 'ümläut\n')
  await running.waitForOutput(/ümläut\n/)
  const lines = Array.from({ length: 50 }, (_, index) => `line ${index}`)
  const wanted = ['one', 'two', ...lines, 'without an end', 'ümläut', '']
  expect(await stopped(running, 'SIGTERM')).toBe(wanted.join('\n'))
})

test('fifo-reader waits for its first and its next writer without spinning', async () => {
  const path = fifo()
  const running = example('fifo-reader', path)
  await running.waitForOutput(/reading/)
  const used = (): number => processorSeconds(running.process.pid ?? 0)
  for (const line of ['first', 'second']) {
    // A loop that spins uses all processor time; one that waits uses almost none.
    let least = Infinity
    for (let attempt = 0; attempt < 5 && least > 0.2; attempt++) {
      const before = used()
      await new Promise((resolve) => {
        setTimeout(resolve, 500)
      })
      least = Math.min(least, used() - before)
    }
    expect(least).toBeLessThanOrEqual(0.2)
    put(path, `${line}\n`)
    await running.waitForOutput(new RegExp(line))
  }
  expect(await stopped(running, 'SIGINT')).toBe('first\nsecond\n')
})

test('fifo-reader --once ends when its last writer closes', async () => {
  const path = fifo()
  const running = example('fifo-reader', '--once', path)
  await running.waitForOutput(/reading/)
  const first = openSync(path, constants.O_WRONLY)
  put(path, 'second\n')
  writeSync(first, 'first\n')
  closeSync(first)
  expect(await running.ended).toMatchObject({ code: 0, out: 'second\nfirst\n' })
})

test('fifo-reader ends with one line and code 1 if the FIFO was deleted when its last writer closes', async () => {
  const path = fifo()
  const running = example('fifo-reader', path)
  await running.waitForOutput(/reading/)
  const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  writeSync(writer, 'the last line')
  rmSync(path)
  closeSync(writer)
  const { code, out, err } = await running.ended
  expect([code, out]).toEqual([1, 'the last line\n'])
  expect(err).toMatch(/^reading\nENOENT: [^\n]*\n$/)
})

test('lines are the same however their bytes are split', () => {
  const bytes = Buffer.from('ä\n\nlong line\n€uro')
  for (let size = 1; size <= bytes.length; size++) {
    const seen: string[] = []
    const lines = new Lines((line) => seen.push(line))
    for (let at = 0; at < bytes.length; at += size) lines.add(bytes.subarray(at, at + size))
    lines.end()
    lines.end()
    expect(seen).toEqual(['ä', '', 'long line', '€uro'])
  }
})

test.runIf(hasTerminals)('tty-reader prints the names of keys and restores the terminal', async () => {
  const terminal = new OnTerminal(commandOf('examples/tty-reader.ts', '--escape-delay', '2000'))
  await terminal.waitForOutput('press keys')
  await terminal.answers('a', 'a\r\n')
  await terminal.answers('€', '€\r\n')
  await terminal.answers('\r', 'Enter\r\n')
  await terminal.answers('\x1b[A\x1b[3~\x1bOP', 'Up\r\nDelete\r\nF1\r\n')
  await terminal.answers('\x1bx', 'Alt+x\r\n')
  // An Escape is the Escape key if no byte follows it.
  await terminal.answers('\x1b', 'Escape\r\n')
  // Input is not echoed, because the mode is raw.
  expect(terminal.out).toBe('Escape\r\n')
  await terminal.answers('\x04', 'Ctrl+D\r\n')
  expect(await terminal.ended).toBe(0)
})

test.runIf(hasTerminals)('tty-reader leaves Ctrl+C to itself, and ends', async () => {
  const terminal = new OnTerminal(commandOf('examples/tty-reader.ts'))
  await terminal.waitForOutput('press keys')
  await terminal.answers('\x03', 'Ctrl+C\r\n')
  expect(await terminal.ended).toBe(0)
})

test('keys are the same however their bytes are split', () => {
  const typed: [string, string][] = [
    ['a', 'a'],
    ['ä', 'ä'],
    ['😀', '😀'],
    ['\x1b[A', 'Up'],
    ['\x1bOA', 'Up'],
    ['\x1b[1;5C', 'Right'],
    ['\x1b[15~', 'F5'],
    ['\x1b[?1;2c', 'Escape [?1;2c'],
    ['\x1bä', 'Alt+ä'],
    ['\t', 'Tab'],
    ['\x7f', 'Backspace'],
    ['\x01', 'Ctrl+A'],
    ['\0', 'Ctrl+Space'],
    ['z', 'z'],
  ]
  const bytes = Buffer.from(typed.map(([text]) => text).join(''))
  for (let size = 1; size <= bytes.length; size++) {
    const keys = new Keys()
    const seen: string[] = []
    for (let at = 0; at < bytes.length; at += size) seen.push(...keys.add(bytes.subarray(at, at + size)))
    expect(keys.torn).toBe(false)
    expect(seen).toEqual(typed.map(([, name]) => name))
  }
})

test('bytes that are not a key are reported as they are, and no byte waits forever', () => {
  const keys = new Keys()
  expect(keys.add(Buffer.from([0xff, 0x80, 0x41]))).toEqual(['ff', '80', 'A'])
  expect(keys.add(Buffer.from('\x1b'))).toEqual([])
  expect([keys.torn, keys.flush(), keys.torn]).toEqual([true, ['Escape'], false])
  expect(keys.add(Buffer.from('\x1b['))).toEqual([])
  expect(keys.flush()).toEqual(['Escape', '['])
  expect(keys.add(Buffer.from([0xe2, 0x82]))).toEqual([])
  expect(keys.flush()).toEqual(['e2', '82'])
  expect(keys.add(Buffer.from('\x1b\x1b'))).toEqual(['Escape'])
  expect(keys.flush()).toEqual(['Escape'])
})

/** Records in the form of a device. */
function records(...events: [type: number, code: number, value: number][]): Buffer {
  return Buffer.concat(
    events.map(([type, code, value]) => {
      const record = Buffer.alloc(RECORD)
      const view = new DataView(record.buffer, record.byteOffset, RECORD)
      const isLittle = endianness() === 'LE'
      view.setBigInt64(0, 1_700_000_000n, isLittle)
      view.setBigInt64(8, 250_000n, isLittle)
      view.setUint16(16, type, isLittle)
      view.setUint16(18, code, isLittle)
      view.setInt32(20, value, isLittle)
      return record
    }),
  )
}

const SYN: [number, number, number] = [0, 0, 0]

test('input-reader reads reports, however their bytes are split, until the device ends', async () => {
  const path = fifo()
  const running = example('input-reader', path)
  await running.waitForOutput(/reading/)
  const writer = openSync(path, constants.O_WRONLY)
  const bytes = records([1, 30, 1], SYN, [2, 0, -5], [2, 1, 7], SYN, [300, 1, 0], SYN)
  for (let at = 0; at < bytes.length; at += 17) {
    writeSync(writer, bytes.subarray(at, at + 17))
    await new Promise(setImmediate)
  }
  await running.waitForOutput(/"300"/)
  closeSync(writer)
  const { code, out, err } = await running.ended
  expect([code, err]).toEqual([0, 'reading\n'])
  const time = 1_700_000_000.25
  expect(
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([
    { time, events: [{ type: 'KEY', code: 30, value: 1 }] },
    {
      time,
      events: [
        { type: 'REL', code: 0, value: -5 },
        { type: 'REL', code: 1, value: 7 },
      ],
    },
    { time, events: [{ type: '300', code: 1, value: 0 }] },
  ])
})

test('input-reader reports a device that ends in the middle of a report', async () => {
  const path = fifo()
  const running = example('input-reader', path)
  await running.waitForOutput(/reading/)
  put(path, records([1, 30, 1], SYN, [1, 30, 0]).subarray(0, 3 * RECORD - 1))
  const { code, out, err } = await running.ended
  expect(code).toBe(1)
  expect(out.trim().split('\n')).toHaveLength(1)
  expect(err).toBe('reading\nthe device ended in the middle of a report\n')
})

test('reports that the device dropped are skipped as a whole', () => {
  const input = new InputEvents()
  const DROPPED: [number, number, number] = [0, 3, 0]
  const bytes = records([1, 1, 1], DROPPED, [1, 2, 1], SYN, [1, 3, 1], SYN, SYN)
  for (let size = 1; size <= bytes.length; size++) {
    const seen: unknown[] = []
    for (let at = 0; at < bytes.length; at += size) {
      for (const report of input.add(bytes.subarray(at, at + size))) seen.push(report.map(({ code }) => code))
    }
    expect([seen, input.dropped, input.torn]).toEqual([[[3]], size, false])
  }
})
