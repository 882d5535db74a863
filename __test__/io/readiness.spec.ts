import { describe, expect, it } from 'vitest'

import { EV, LoopFlag, type Event } from '../../index.js'
import { never, openBase, stall } from '../support/base.js'
import { close, fill, readText, openPair, openPipe, writeText } from '../support/descriptors.js'

describe('an event on a descriptor', () => {
  it('C-026: fires for WRITE while it is writable', () => {
    const base = openBase()
    const [left, right] = openPair()
    base.newEvent(left, EV.WRITE, () => writeText(left, 'hello')).add()
    expect(base.dispatch()).toBe(1)
    expect(readText(right)).toBe('hello')
  })

  it('C-024: fires once unless it is added again', () => {
    const base = openBase()
    const [left, right] = openPair()
    const received: unknown[] = []
    const callback = (fd: number, what: number, event: Event): void => {
      received.push(what, readText(fd))
      if (received.length < 4) event.add()
    }
    base.newEvent(left, EV.READ, callback).add()
    writeText(right, 'first')
    close(right)
    expect(base.dispatch()).toBe(1)
    expect(received).toEqual([EV.READ, 'first', EV.READ, ''])
  })

  it('C-005: that is persistent fires for data, then for the end of the stream', () => {
    const base = openBase()
    const [left, right] = openPair()
    const received: unknown[] = []
    base
      .newEvent(left, EV.READ | EV.PERSIST, (fd, _what, event) => {
        received.push(readText(fd))
        if (received.length === 1) close(right)
        else {
          event.del()
          base.loopExit()
        }
      })
      .add()
    writeText(right, 'data')
    expect(base.dispatch()).toBe(0)
    expect(received).toEqual(['data', ''])
  })

  it('C-045: that is not persistent fires once although more data comes', () => {
    const base = openBase()
    const [left, right] = openPair()
    let count = 0
    base.newEvent(left, EV.READ, () => (count += 1)).add()
    writeText(right, 'a')
    base.newTimer(() => writeText(right, 'b')).add(2)
    expect(base.dispatch()).toBe(1)
    expect(count).toBe(1)
  })

  it('C-025: fires beside others of the same interest', () => {
    const base = openBase()
    const [left, right] = openPair()
    const fired: number[] = []
    for (let number = 0; number < 5; number += 1) {
      base.newEvent(left, EV.READ, () => fired.push(number)).add()
    }
    writeText(right, 'x')
    expect(base.dispatch()).toBe(1)
    expect(fired.toSorted()).toEqual([0, 1, 2, 3, 4])
  })

  it('C-044: gets its own bits, whatever the interests of others on the descriptor', () => {
    const base = openBase()
    const [left, right] = openPair()
    const results: [string, number][] = []
    base.newEvent(left, EV.READ, (_, what) => results.push(['read', what])).add()
    base.newEvent(left, EV.WRITE, (_, what) => results.push(['write', what])).add()
    base.newEvent(left, EV.READ | EV.WRITE, (_, what) => results.push(['both', what])).add()
    writeText(right, 'x')
    expect(base.dispatch()).toBe(1)
    expect(Object.fromEntries(results)).toEqual({
      read: EV.READ,
      write: EV.WRITE,
      both: EV.READ | EV.WRITE,
    })
  })

  it('stays pending when another on the same descriptor is deleted', () => {
    const base = openBase()
    const [left, right] = openPair()
    const results: number[] = []
    const other = base.newEvent(left, EV.READ, never).add()
    base.newEvent(left, EV.READ, (_, what) => results.push(what)).add()
    other.del()
    writeText(right, 'x')
    expect(base.dispatch()).toBe(1)
    expect(results).toEqual([EV.READ])
  })

  it('works on pipes', () => {
    const base = openBase()
    const [read, write] = openPipe()
    const received: unknown[] = []
    base.newEvent(read, EV.READ, (fd) => received.push(readText(fd))).add()
    base.newEvent(write, EV.WRITE, (fd) => writeText(fd, 'through')).add()
    expect(base.dispatch()).toBe(1)
    expect(received).toEqual(['through'])
  })

  it('C-012: may not have a descriptor above the highest number', () => {
    const base = openBase()
    for (const fd of [0x7fff_ffff, 0x3fff_ffff]) {
      expect(() => base.newEvent(fd, EV.READ, never).add()).toThrow(
        expect.objectContaining({ code: 'EBADF' }),
      )
    }
    expect(base.countEvents(7)).toBe(0)
  })
})

describe('a timeout of an event on a descriptor', () => {
  it('deletes the event when it expires', () => {
    const base = openBase()
    const [left] = openPair()
    const results: number[] = []
    const event = base.newEvent(left, EV.READ, (_, what) => results.push(what)).add(2)
    expect(event.pending()).toBe(EV.READ | EV.TIMEOUT)
    expect(base.dispatch()).toBe(1)
    expect(results).toEqual([EV.TIMEOUT])
    expect(event.pending()).toBe(0)
  })

  it('does not expire when the descriptor was ready first', () => {
    const base = openBase()
    const [left, right] = openPair()
    const results: number[] = []
    base.newEvent(left, EV.READ, (_, what) => results.push(what)).add(60_000)
    writeText(right, 'x')
    expect(base.dispatch()).toBe(1)
    expect(results).toEqual([EV.READ])
  })

  it('of a persistent event counts from the last time it fired', () => {
    const base = openBase()
    const [left, right] = openPair()
    const results: number[] = []
    let untilTimeout = 0
    const event = base.newEvent(left, EV.READ | EV.PERSIST, (fd, what) => {
      results.push(what)
      readText(fd)
      untilTimeout = (event.expiresAt ?? 0) - base.now()
      if (what === EV.TIMEOUT) event.del()
    })
    event.add(60_000)
    stall(20)
    writeText(right, 'x')
    base.loop(LoopFlag.ONCE)
    expect(results).toEqual([EV.READ])
    expect(untilTimeout).toBeGreaterThan(59_999)
    expect(untilTimeout).toBeLessThan(60_001)
    event.add(2)
    expect(base.dispatch()).toBe(1)
    expect(results).toEqual([EV.READ, EV.TIMEOUT])
  })

  it('C-017: that expired in the pass that found it readable is reported with READ', () => {
    const base = openBase()
    const [left, right] = openPair()
    const results: number[] = []
    base.newEvent(left, EV.READ, (_, what) => results.push(what)).add(1)
    writeText(right, 'x')
    stall(3)
    expect(base.dispatch()).toBe(1)
    expect(results).toEqual([EV.READ | EV.TIMEOUT])
  })
})

describe('a descriptor that is full', () => {
  it('is not ready for WRITE until it has room', () => {
    const base = openBase()
    const [left, right] = openPair()
    const order: string[] = []
    expect(fill(left)).toBeGreaterThan(0)
    base.newEvent(left, EV.WRITE, () => order.push('room')).add()
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(0)
    base
      .newTimer(() => {
        order.push('read')
        while (readText(right) !== undefined);
      })
      .add(2)
    expect(base.dispatch()).toBe(1)
    expect(order).toEqual(['read', 'room'])
  })
})
