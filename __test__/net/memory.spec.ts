import { once } from 'node:events'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'

import { expect, test } from 'vitest'

import { EV, LoopFlag } from '../../index.js'
import { BufferEvent, socket, type ByteQueue } from '../../net.js'
import { openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'
import { running, until } from './support.js'

/** Sends bytes to another thread with their memory, and returns all of the memory that it got. */
function sendAway(bytes: Buffer): Buffer {
  const { port1, port2 } = new MessageChannel()
  port1.postMessage(bytes, [bytes.buffer as ArrayBuffer])
  const { message } = receiveMessageOnPort(port2) as { message: Uint8Array }
  port1.close()
  return Buffer.from(message.buffer)
}

const ways: [string, (input: ByteQueue) => Buffer | undefined][] = [
  ['shift()', (input) => input.shift()],
  ['read()', (input) => input.read()],
  ['read() of a part', (input) => input.read(3)],
  ['readLine()', (input) => input.readLine()],
  ['chunks', (input) => input.chunks[0]],
  ['peek()', (input) => input.peek()],
]

test.each(ways)('memory from %s holds no byte of another stream and is not used by one', (_name, take) => {
  const base = openBase()
  const open = (text: string): BufferEvent => {
    const [near, far] = openPair()
    writeText(far, text)
    return new BufferEvent(base, near, { closeOnFree: false }).enable(EV.READ)
  }
  const first = open('first\nline')
  const second = open('the secret')
  base.loop(LoopFlag.NONBLOCK)
  const sent = sendAway(take(first.input) as Buffer)
  expect(sent.includes('secret')).toBe(false)
  expect(String(second.read())).toBe('the secret')
})

test.each([
  ['a large read', 12_000],
  ['a read of the maximum size', 16_384],
])('memory of %s holds no byte of another stream and is not used by one', (_name, size) => {
  const base = openBase()
  const streams = [1, 2, 3].map((fill) => {
    const [near, far] = openPair()
    socket.write(far, Buffer.alloc(size, fill))
    return new BufferEvent(base, near, { closeOnFree: false, maxSingleRead: 16_384 }).enable(EV.READ)
  })
  base.loop(LoopFlag.NONBLOCK)
  const sent = sendAway(streams[0]?.input.shift() as Buffer)
  expect(sent.equals(Buffer.alloc(size, 1))).toBe(true)
  for (const [index, stream] of streams.slice(1).entries()) {
    expect(stream.read()?.equals(Buffer.alloc(size, index + 2))).toBe(true)
  }
})

test('memory of bytes that were received by several reads holds these bytes alone', () => {
  const base = openBase()
  const [near, far] = openPair()
  const stream = new BufferEvent(base, near, { closeOnFree: false }).enable(EV.READ)
  for (const text of ['one ', 'two ']) {
    writeText(far, text)
    base.loop(LoopFlag.NONBLOCK)
  }
  expect(String(sendAway(stream.read() as Buffer))).toBe('one two ')
})

test('the rest of the input remains when the memory of a line is transferred', () => {
  const base = openBase()
  const [near, far] = openPair()
  writeText(far, 'one\ntwo\nthree')
  const stream = new BufferEvent(base, near, { closeOnFree: false }).enable(EV.READ)
  base.loop(LoopFlag.NONBLOCK)
  for (const line of ['one', 'two']) {
    const memory = sendAway(stream.input.readLine() as Buffer)
    expect(memory.includes('three')).toBe(false)
    expect(String(memory.subarray(0, line.length))).toBe(line)
  }
  expect(String(stream.read())).toBe('three')
})

test('a chunk of a Duplex belongs to its reader', async () => {
  const base = await running()
  const [[one, other], [second, far]] = [openPair(), openPair()]
  const duplex = new BufferEvent(base, one, { closeOnFree: false }).toDuplex()
  const stream = new BufferEvent(base, second, { closeOnFree: false }).enable(EV.READ)
  writeText(far, 'the secret')
  writeText(other, 'public')
  const [chunk] = (await once(duplex, 'data')) as [Buffer]
  expect(sendAway(chunk).includes('secret')).toBe(false)
  duplex.destroy()
  await until(() => stream.input.length > 0)
  expect(String(stream.read())).toBe('the secret')
})

test('a Duplex whose input was transferred is destroyed with an error', async () => {
  const base = await running()
  const [near, far] = openPair()
  const stream = new BufferEvent(base, near, { closeOnFree: false })
  stream.enable(EV.READ)
  writeText(far, 'bytes')
  await new Promise<void>((resolve) => stream.setCallbacks({ onRead: () => resolve() }))
  sendAway(stream.input.peek() as Buffer)
  const duplex = stream.toDuplex()
  duplex.resume()
  const [error] = (await once(duplex, 'error')) as [NodeJS.ErrnoException]
  expect(error.code).toBe('ERR_OUT_OF_RANGE')
  expect(duplex.destroyed).toBe(true)
})

test('nothing is written if the memory of a chunk of the output was transferred', () => {
  const base = openBase()
  const [near, far] = openPair()
  const failures: unknown[] = []
  const stream = new BufferEvent(base, near, {
    closeOnFree: false,
    onEvent: (_what, _stream, error) => failures.push((error as NodeJS.ErrnoException).code),
  })
  const [before, hole, after] = ['before', 'hole', 'after'].map((text) => Uint8Array.from(Buffer.from(text)))
  for (const bytes of [before, hole, after]) stream.write(bytes as Uint8Array)
  sendAway(Buffer.from((hole as Uint8Array).buffer))
  base.loop(LoopFlag.NONBLOCK)
  expect(failures).toEqual(['ERR_OUT_OF_RANGE'])
  expect(socket.read(far, Buffer.alloc(100))).toBe(-1)
})

test('reading resumes when bytes that fill the input are lost', () => {
  const base = openBase()
  const [near, far] = openPair()
  const stream = new BufferEvent(base, near, { closeOnFree: false, readHigh: 4 }).enable(EV.READ)
  writeText(far, 'lostmore')
  base.loop(LoopFlag.NONBLOCK)
  sendAway(stream.input.peek() as Buffer)
  expect(refusal(() => stream.read())).toBe('ERR_OUT_OF_RANGE')
  base.loop(LoopFlag.NONBLOCK)
  expect(String(stream.read())).toBe('more')
})
