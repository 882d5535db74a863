import { describe, expect, it } from 'vitest'

import { EV, Feature, LoopFlag } from '../../index.js'
import { socket } from '../../net.js'
import { featuresHere, openBase } from '../support/base.js'
import { close, fill, openPair, writeText } from '../support/descriptors.js'

const ends = {
  close: (fd: number) => close(fd),
  shutdown: (fd: number) => socket.shutdown(fd, 'write'),
}

describe.skipIf((featuresHere() & Feature.EARLY_CLOSE) === 0)('CLOSED', () => {
  it.each([
    ['C-028', 'close', 0, EV.CLOSED, 1],
    ['C-029', 'shutdown', 0, EV.CLOSED, 1],
    ['C-030', 'close', EV.PERSIST, EV.CLOSED, 0],
    ['C-031', 'shutdown', EV.PERSIST, EV.CLOSED, 0],
    ['C-032', 'close', EV.ET, EV.CLOSED | EV.ET, 1],
    ['C-033', 'shutdown', EV.ET, EV.CLOSED | EV.ET, 1],
    ['C-034', 'close', EV.PERSIST | EV.ET, EV.CLOSED | EV.ET, 0],
    ['C-035', 'shutdown', EV.PERSIST | EV.ET, EV.CLOSED | EV.ET, 0],
  ] as const)('%s: reports a %s, with bits %i', (_, how, bits, expected, result) => {
    const base = openBase()
    const [left, right] = openPair()
    const results: number[] = []
    const event = base.newEvent(left, EV.CLOSED | bits, (_fd, what) => {
      results.push(what)
      if ((bits & EV.PERSIST) !== 0) base.loopExit()
    })
    event.add()
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(0)
    expect(results).toEqual([])
    ends[how](right)
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(result)
    expect(results).toEqual([expected])
    expect(event.pending()).toBe(bits & EV.PERSIST ? EV.CLOSED : 0)
  })

  it('is reported while unread data is there, and together with it', () => {
    const base = openBase()
    const [left, right] = openPair()
    const results: number[] = []
    base.newEvent(left, EV.READ | EV.CLOSED, (_, what) => results.push(what)).add()
    writeText(right, 'x')
    ends.shutdown(right)
    expect(base.dispatch()).toBe(1)
    expect(results).toEqual([EV.READ | EV.CLOSED])
  })
})

describe("a peer's close", () => {
  it('C-027: wakes a reader with READ and a blocked writer with WRITE, and not before', () => {
    const base = openBase()
    const [reader, closedByPeer] = openPair()
    const [writer, alsoClosed] = openPair()
    const results: number[] = []
    fill(writer)
    base.newEvent(reader, EV.READ, (_, what) => results.push(what)).add()
    base.newEvent(writer, EV.WRITE, (_, what) => results.push(what)).add()
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(0)
    expect(results).toEqual([])
    close(closedByPeer)
    close(alsoClosed)
    expect(base.dispatch()).toBe(1)
    expect(results.toSorted()).toEqual([EV.READ, EV.WRITE])
  })
})
