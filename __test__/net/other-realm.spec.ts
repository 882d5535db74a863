import { runInNewContext } from 'node:vm'

import { expect, test } from 'vitest'

import { BufferEvent, ByteQueue, DatagramBatch, relay, socket } from '../../net.js'
import { openBase } from '../support/base.js'
import { readText, openPair, writeText } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'

/** Bytes of another realm, as a test framework's environment makes them. */
const foreign = runInNewContext('new Uint8Array([97, 98, 99])') as Uint8Array
const shared = runInNewContext('new Uint8Array(new SharedArrayBuffer(3))') as Uint8Array

test('bytes of another realm are accepted by every call that takes bytes', async () => {
  expect(foreign).not.toBeInstanceOf(Uint8Array)
  const base = openBase()
  const [near, far] = openPair()
  socket.write(near, foreign)
  expect(readText(far)).toBe('abc')
  writeText(near, 'xyz')
  const target = runInNewContext('new Uint8Array(3)') as Uint8Array
  expect(socket.read(far, target)).toBe(3)
  expect(String(Buffer.from(target))).toBe('xyz')

  expect(String(new ByteQueue().append(foreign).prepend(foreign).read())).toBe('abcabc')
  expect(new ByteQueue().append('..abc').indexOf(foreign)).toBe(2)

  const batch = new DatagramBatch()
  batch.add(foreign)
  expect(String(batch.bytes(0))).toBe('abc')

  const stream = new BufferEvent(base, near, { closeOnFree: false })
  stream.write(foreign)
  base.dispatch()
  expect(readText(far)).toBe('abc')

  const [[one, client], [other, server]] = [socket.pair(), socket.pair()]
  const pipe = relay(base, one, other, { prefix: { aToB: foreign } })
  base.loop(3)
  expect(readText(server)).toBe('abc')
  pipe.close()
  for (const fd of [client, server]) socket.close(fd)
})

test('memory that threads share is refused, of every realm', () => {
  const base = openBase()
  const [near, far] = openPair()
  for (const bytes of [shared, new Uint8Array(new SharedArrayBuffer(3))]) {
    const calls: (() => unknown)[] = [
      () => socket.write(near, bytes),
      () => socket.read(near, bytes),
      () => socket.peek(near, bytes),
      () => new ByteQueue().append(bytes),
      () => new DatagramBatch().add(bytes),
      () => relay(base, near, far, { prefix: { bToA: bytes } }),
    ]
    for (const call of calls) expect(refusal(call)).toBe('ERR_INVALID_ARG_TYPE')
  }
})

test('an object that only inherits from Uint8Array is refused', () => {
  const [left] = openPair()
  const fake = Object.create(Uint8Array.prototype) as Uint8Array
  expect(refusal(() => socket.write(left, fake))).toBe('ERR_INVALID_ARG_TYPE')
})
