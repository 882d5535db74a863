import { describe, expect, it } from 'vitest'

import { CountFlag, EV, LoopResult } from '../../index.js'
import { openBase } from '../support/base.js'
import { openPair } from '../support/descriptors.js'

const { ACTIVE, VIRTUAL, ADDED } = CountFlag

describe('countEvents()', () => {
  it('C-010: counts each list an event is in', () => {
    const base = openBase()
    const [left] = openPair()
    const event = base.newEvent(left, EV.READ, () => {})
    expect(base.countEvents(ACTIVE | VIRTUAL | ADDED)).toBe(0)
    event.add(60_000)
    expect([base.countEvents(ADDED), base.countEvents(ACTIVE)]).toEqual([2, 0])
    event.activate(EV.READ)
    expect([base.countEvents(ADDED), base.countEvents(ACTIVE)]).toEqual([3, 1])
    expect(base.countEvents(ACTIVE | ADDED)).toBe(4)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(base.countEvents(ACTIVE | VIRTUAL | ADDED)).toBe(0)
    expect(base.countEvents(0)).toBe(0)
  })
})

describe('maxEvents()', () => {
  it('C-011: keeps the maximum until it is cleared', () => {
    const base = openBase()
    const [left, right] = openPair()
    const events = [left, right].map((fd) => base.newEvent(fd, EV.READ, () => {}).add(60_000))
    expect([base.maxEvents(ADDED), base.maxEvents(ACTIVE)]).toEqual([4, 0])
    events[0]?.del()
    expect([base.countEvents(ADDED), base.maxEvents(ADDED)]).toEqual([2, 4])
    events[1]?.activate(EV.READ)
    expect([base.maxEvents(ADDED), base.maxEvents(ACTIVE)]).toEqual([4, 1])
    expect(base.maxEvents(ADDED | ACTIVE, true)).toBe(5)
    expect(base.maxEvents(ADDED | ACTIVE)).toBe(0)
  })
})
