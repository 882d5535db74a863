import { describe, expect, test } from 'vitest'

import { EV, type EventBase } from '../../index.js'
import {
  BufferEvent,
  BufferEventGroup,
  socket,
  type BufferEventOptions,
  type DirectionLimit,
} from '../../net.js'
import { openBase } from '../support/base.js'
import { empty, fill, openPair, writeText } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'

const RATE = 100_000
const BURST = 1000

function open(base: EventBase, options: BufferEventOptions = {}): { stream: BufferEvent; far: number } {
  const [near, far] = openPair()
  return { stream: new BufferEvent(base, near, { closeOnFree: false, ...options }), far }
}

/** Runs the loop until a condition holds. Fails by the timeout of the test. */
function loopUntil(base: EventBase, check: () => boolean): void {
  const ticks = base.newTimer(() => {}, { persist: true }).add(1)
  while (!check()) base.loop(1)
  ticks.close()
}

describe('a limit', () => {
  test('limits reading to its burst and then its rate', () => {
    const base = openBase()
    const { stream, far } = open(base, { limit: { read: { rate: RATE, burst: BURST } } })
    writeText(far, 'x'.repeat(8000))
    const begin = base.monotonic()
    stream.enable(EV.READ)
    loopUntil(base, () => stream.input.length > 0)
    expect(stream.input.length).toBe(BURST)
    loopUntil(base, () => stream.input.length === 8000)
    expect(base.monotonic() - begin).toBeGreaterThanOrEqual(((8000 - BURST) / RATE) * 1000 - 1)
    stream.close()
  })

  test('limits writing likewise, and not the other direction', () => {
    const base = openBase()
    const { stream, far } = open(base, { limit: { write: { rate: RATE, burst: BURST } } })
    stream.enable(EV.READ)
    writeText(far, 'x'.repeat(8000))
    const begin = base.monotonic()
    stream.write(Buffer.alloc(8000))
    loopUntil(base, () => stream.output.length < 8000)
    expect(stream.output.length).toBeGreaterThanOrEqual(7000 - (base.monotonic() - begin) * 100)
    loopUntil(base, () => stream.output.length === 0)
    expect(base.monotonic() - begin).toBeGreaterThanOrEqual(69)
    expect(stream.input.length).toBe(8000)
    expect(empty(far)).toBe(8000)
    stream.close()
  })

  test('of one value applies to each direction, with a burst of one second', () => {
    const { stream } = open(openBase(), { limit: { rate: 500 } })
    expect(stream.limitLeft(EV.READ)).toBe(500)
    expect(stream.limitLeft(EV.WRITE)).toBe(500)
    expect(stream.allowance(EV.READ)).toBe(500)
    stream.setLimit({ write: { rate: 50_000 } })
    expect(stream.limitLeft(EV.READ)).toBeUndefined()
    expect(stream.allowance(EV.READ)).toBe(16_384)
    expect(stream.allowance(EV.WRITE)).toBe(50_000)
    stream.close()
  })

  test('that is removed has no effect any more', () => {
    const base = openBase()
    const { stream, far } = open(base, { limit: { rate: 1, burst: 10 } })
    stream.enable(EV.READ)
    writeText(far, 'x'.repeat(100))
    loopUntil(base, () => stream.input.length === 10)
    stream.setLimit(undefined)
    loopUntil(base, () => stream.input.length === 100)
    stream.close()
  })

  test('counts bytes that were moved by other means, and returns tokens', () => {
    const base = openBase()
    const { stream, far } = open(base, { limit: { rate: 10, burst: 1000 } })
    stream.enable(EV.READ).spendLimit(EV.READ, 100_000)
    expect(stream.limitLeft(EV.READ)).toBeLessThan(-90_000)
    expect(stream.allowance(EV.READ)).toBe(0)
    writeText(far, 'held back')
    base.loop(3)
    base.loop(3)
    expect(stream.input.length).toBe(0)
    stream.spendLimit(EV.READ, -100_000)
    stream.spendLimit(EV.READ, Number.MAX_SAFE_INTEGER).spendLimit(EV.READ, -Number.MAX_SAFE_INTEGER)
    loopUntil(base, () => stream.input.length === 9)
    stream.close()
  })

  test('of a group is not shared with a stream that was refused', () => {
    const base = openBase()
    const group = new BufferEventGroup(base, { rate: 1000 })
    expect(() => new BufferEvent(base, -2, { group })).toThrow(
      expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }),
    )
    expect(() => new BufferEvent(base, -1, { group, closeOnFree: 1 as never })).toThrow('closeOnFree')
    expect(group.size).toBe(0)
  })

  test('of a burst of one byte moves byte by byte', () => {
    const base = openBase()
    const { stream, far } = open(base, { limit: { rate: 1000, burst: 1 } })
    let calls = 0
    stream.setCallbacks({ onRead: () => (calls += 1) }).enable(EV.READ)
    writeText(far, 'x'.repeat(20))
    const begin = base.monotonic()
    loopUntil(base, () => stream.input.length === 20)
    expect(calls).toBe(20)
    expect(base.monotonic() - begin).toBeGreaterThanOrEqual(18)
    stream.close()
  })

  test('with invalid arguments is refused', () => {
    const base = openBase()
    const { stream } = open(base)
    const set = (limit: unknown) => (): unknown => stream.setLimit(limit as DirectionLimit)
    const calls: [string, () => unknown][] = [
      ['ERR_INVALID_ARG_TYPE', set(5)],
      ['ERR_INVALID_ARG_TYPE', set(null)],
      ['ERR_OUT_OF_RANGE', set({})],
      ['ERR_OUT_OF_RANGE', set({ rate: 0 })],
      ['ERR_OUT_OF_RANGE', set({ rate: 1.5 })],
      ['ERR_OUT_OF_RANGE', set({ rate: 1, burst: 0 })],
      ['ERR_INVALID_ARG_TYPE', set({ burst: 1 })],
      ['ERR_OUT_OF_RANGE', set({ rate: 1, read: { rate: 1 } })],
      ['ERR_INVALID_ARG_TYPE', set({ read: 1 })],
      ['ERR_OUT_OF_RANGE', () => stream.limitLeft(3 as 2)],
      ['ERR_OUT_OF_RANGE', () => stream.allowance(0 as 2)],
      ['ERR_OUT_OF_RANGE', () => stream.spendLimit(EV.READ, 0.5)],
      ['ERR_INVALID_ARG_TYPE', () => new BufferEventGroup({} as EventBase, { rate: 1 })],
      ['ERR_OUT_OF_RANGE', () => new BufferEventGroup(base, { rate: 1 }, { minShare: 0 })],
      ['ERR_INVALID_ARG_TYPE', () => stream.joinGroup({} as BufferEventGroup)],
      ['ERR_INVALID_ARG_TYPE', () => stream.joinGroup(new BufferEventGroup(openBase(), { rate: 1 }))],
    ]
    for (const [code, call] of calls) expect(refusal(call), String(call)).toBe(code)
    stream.close()
  })
})

describe('a group', () => {
  test('limits its members together, and each gets its share', () => {
    const base = openBase()
    const group = new BufferEventGroup(base, { read: { rate: RATE, burst: BURST } })
    const members = [open(base, { group }), open(base, { group }), open(base)]
    const [first, second, third] = members.map(({ stream }) => stream) as [
      BufferEvent,
      BufferEvent,
      BufferEvent,
    ]
    third.joinGroup(group)
    expect(group.size).toBe(3)
    expect(third.group).toBe(group)
    for (const { stream, far } of members) {
      fill(far)
      stream.enable(EV.READ)
    }
    const begin = base.monotonic()
    base.loop(1)
    expect(group.stats.bytesRead).toBeLessThanOrEqual(BURST + (base.monotonic() - begin) * 100 + 3 * 64)
    loopUntil(base, () => group.stats.bytesRead >= 9000)
    expect(base.monotonic() - begin).toBeGreaterThanOrEqual(((9000 - BURST - 200) / RATE) * 1000 - 1)
    for (const stream of [first, second, third]) expect(stream.input.length).toBeGreaterThan(1000)
    const sum = first.input.length + second.input.length + third.input.length
    expect(group.stats).toEqual({ bytesRead: sum, bytesWritten: 0 })
    expect(group.resetStats().stats.bytesRead).toBe(0)
    group.close()
    for (const { stream } of members) stream.close()
  })

  test('no longer limits a member that leaves, and no member once it is closed', () => {
    const base = openBase()
    const group = new BufferEventGroup(base, { rate: 1, burst: 64 })
    const members = [open(base, { group }), open(base, { group })]
    for (const { stream, far } of members) {
      writeText(far, 'x'.repeat(500))
      stream.enable(EV.READ)
    }
    base.loop(3)
    base.loop(3)
    const [one, other] = members.map(({ stream }) => stream) as [BufferEvent, BufferEvent]
    expect(one.input.length + other.input.length).toBeLessThan(500)
    one.joinGroup(undefined)
    expect(group.size).toBe(1)
    loopUntil(base, () => one.input.length === 500)
    expect(other.input.length).toBeLessThan(500)
    group.close()
    loopUntil(base, () => other.input.length === 500)
    expect(other.group).toBeUndefined()
    expect(refusal(() => other.joinGroup(group))).toBe('ERR_EVENT_CLOSED')
    expect(refusal(() => group.setLimit({ rate: 1 }))).toBe('ERR_EVENT_CLOSED')
    for (const { stream } of members) stream.close()
  })

  test('another limit takes effect immediately, and so do bytes that were moved by other means', () => {
    const base = openBase()
    const group = new BufferEventGroup(base, { rate: 10 })
    const { stream, far } = open(base, { group })
    group.spend(EV.READ, 1_000_000)
    expect(group.left(EV.READ)).toBeLessThan(0)
    writeText(far, 'x'.repeat(100))
    stream.enable(EV.READ)
    base.loop(3)
    base.loop(3)
    expect(stream.input.length).toBe(0)
    group.setLimit({ rate: 1_000_000 })
    loopUntil(base, () => stream.input.length === 100)
    group.close()
    stream.close()
  })

  test('a stream that is closed leaves its group', () => {
    const base = openBase()
    using group = new BufferEventGroup(base, { rate: 10 })
    const [near, far] = socket.pair()
    const stream = new BufferEvent(base, near, { group })
    stream.close()
    expect(group.size).toBe(0)
    socket.close(far)
  })
})
