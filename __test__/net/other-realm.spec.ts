import { createContext, runInContext } from 'node:vm'

import { expect, test } from 'vitest'

import { LoopFlag } from '../../index.js'
import { DatagramBatch, relay, socket } from '../../net.js'
import { openBase } from '../support/base.js'
import { openPair } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'

const realm = createContext({})

function inRealm<T>(code: string): T {
  return runInContext(code, realm) as T
}

/** Bytes whose classes are those of another realm. */
function foreign(text: string): Uint8Array {
  const bytes = inRealm<Uint8Array>(`new Uint8Array(${text.length})`)
  expect(bytes).not.toBeInstanceOf(Uint8Array)
  bytes.set(Buffer.from(text))
  return bytes
}

/** The same in memory that threads share. */
function foreignAndShared(): Uint8Array {
  return inRealm<Uint8Array>('new Uint8Array(new SharedArrayBuffer(8))')
}

test('a typed array of another realm can be written and read into', () => {
  const [left, right] = openPair()
  expect(socket.write(left, foreign('hello'))).toBe(5)
  const buffer = foreign('.....')
  expect(socket.peek(right, buffer)).toBe(5)
  expect(socket.read(right, buffer)).toBe(5)
  expect(Buffer.from(buffer).toString()).toBe('hello')
})

test('a typed array of another realm can be the prefix of a relay', () => {
  const base = openBase()
  const [[near, a], [b, far]] = [socket.pair(), socket.pair()]
  relay(base, a, b, { prefix: { aToB: foreign('prefix') } })
  base.loop(LoopFlag.NONBLOCK)
  const buffer = Buffer.alloc(16)
  expect(buffer.toString('latin1', 0, socket.read(far, buffer))).toBe('prefix')
  for (const fd of [near, far]) socket.close(fd)
})

test('a typed array of another realm can be sent as a datagram', () => {
  const batch = new DatagramBatch({ slots: 1, size: 16 })
  expect(batch.add(foreign('datagram'))).toBe(true)
})

test('memory that threads share is refused, of any realm', () => {
  const base = openBase()
  const [left, right] = openPair()
  const shared = foreignAndShared()
  expect(refusal(() => socket.write(left, shared))).toBe('ERR_INVALID_ARG_TYPE')
  expect(refusal(() => socket.read(left, shared))).toBe('ERR_INVALID_ARG_TYPE')
  expect(refusal(() => socket.peek(left, shared))).toBe('ERR_INVALID_ARG_TYPE')
  expect(refusal(() => relay(base, left, right, { prefix: { bToA: shared } }))).toBe('ERR_INVALID_ARG_TYPE')
  expect(refusal(() => new DatagramBatch({ slots: 1, size: 16 }).add(shared))).toBe('ERR_INVALID_ARG_TYPE')
})

test('an object that only inherits from Uint8Array is refused', () => {
  const [left] = openPair()
  const fake = Object.create(Uint8Array.prototype) as Uint8Array
  expect(refusal(() => socket.write(left, fake))).toBe('ERR_INVALID_ARG_TYPE')
})
