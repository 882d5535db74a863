import { describe, expect, it } from 'vitest'

import { EV, LoopFlag } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { close, readText, openPair, reopenAsPair, writeText } from '../support/descriptors.js'

describe('a descriptor closed without deleting its event', () => {
  it('and opened again under the same number reaches the new event only', () => {
    const base = openBase()
    const [left] = openPair()
    const old = base.newEvent(left, EV.READ | EV.PERSIST, never).add()
    const [again, peer] = reopenAsPair(left)
    const received: unknown[] = []
    base.newEvent(again, EV.READ, (fd) => received.push(readText(fd))).add()
    writeText(peer, 'for the new one')
    expect(base.dispatch()).toBe(1)
    expect(received).toEqual(['for the new one'])
    expect(old.pending()).toBe(0)
  })

  it('keeps the deadline of its event', () => {
    const base = openBase()
    const [left] = openPair()
    const results: number[] = []
    base.newEvent(left, EV.READ, (_, what) => results.push(what)).add(20)
    const [again, peer] = reopenAsPair(left)
    base.newEvent(again, EV.READ, (fd) => readText(fd)).add()
    writeText(peer, 'x')
    expect(base.dispatch()).toBe(1)
    expect(results).toEqual([EV.TIMEOUT])
  })

  it('leaves an event that can be added again', () => {
    const base = openBase()
    const [left] = openPair()
    const received: unknown[] = []
    const event = base.newEvent(left, EV.READ, (fd) => received.push(readText(fd))).add()
    const [again, peer] = reopenAsPair(left)
    base.newEvent(again, EV.WRITE, () => {}).add()
    base.loop(LoopFlag.NONBLOCK)
    expect(event.pending()).toBe(0)
    event.add()
    writeText(peer, 'at last')
    expect(base.dispatch()).toBe(1)
    expect(received).toEqual(['at last'])
  })

  it('can have its event deleted and closed afterwards', () => {
    const base = openBase()
    const [left] = openPair()
    const [right] = openPair()
    const deleted = base.newEvent(left, EV.READ, never).add()
    const closed = base.newEvent(right, EV.READ, never).add()
    close(left)
    close(right)
    expect(deleted.del().pending()).toBe(0)
    closed.close()
    expect(base.countEvents(7)).toBe(0)
    expect(base.dispatch()).toBe(1)
  })

  it('works a thousand times, each time under the same number', () => {
    const base = openBase()
    let received = 0
    for (let round = 0; round < 1000; round += 1) {
      const [left, right] = openPair()
      base.newEvent(left, EV.READ | EV.PERSIST, () => (received += 1)).add()
      if (round % 2 === 0) writeText(right, 'x')
      base.loop(LoopFlag.NONBLOCK)
      close(left)
      close(right)
    }
    expect(received).toBe(500)
  })
})
