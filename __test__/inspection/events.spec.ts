import { describe, expect, it } from 'vitest'

import { EV, EventConfig } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { openPair } from '../support/descriptors.js'

describe('events()', () => {
  it('C-056: lists each event that is pending, active or both once, and no idle event', () => {
    const base = openBase(new EventConfig().setPriorities(3))
    const [left] = openPair()
    const pending = base.newEvent(left, EV.READ | EV.PERSIST, never, { priority: 2 }).add(5000)
    const both = base.newTimer(never).add(1000).activate(EV.WRITE)
    const active = base.newEvent(-1, 0, never, { priority: 0 }).activate()
    base.newTimer(never)
    base.newTimer(never).add(5).del()
    const records = base.events()
    expect(records.map(({ event }) => event)).toEqual([pending, both, active])
    const facts = records.map(
      ({ fd, what, pending: waitsFor, result, active: isActive, priority, event }) => {
        return { fd, what, pending: waitsFor, result, active: isActive, priority, event }
      },
    )
    expect(facts).toEqual([
      {
        fd: left,
        what: EV.READ | EV.PERSIST,
        pending: EV.READ | EV.TIMEOUT,
        result: 0,
        active: false,
        priority: 2,
        event: pending,
      },
      { fd: -1, what: 0, pending: EV.TIMEOUT, result: EV.WRITE, active: true, priority: 1, event: both },
      { fd: -1, what: 0, pending: 0, result: 0, active: true, priority: 0, event: active },
    ])
    expect(records[0]?.expiresAt).toBeCloseTo(pending.expiresAt ?? 0, 0)
    expect(records[2]?.expiresAt).toBeUndefined()
  })

  it('identifies events by their ids', () => {
    const base = openBase()
    const event = base.newTimer(never).add(1000)
    const [record] = base.events()
    expect(record?.id).toBe(event.id)
    expect(base.events()[0]?.id).toBe(event.id)
    expect(base.events()[0]?.event).toBe(event)
  })

  it('sorts by descriptor, then by deadline', () => {
    const base = openBase()
    const [left, right] = openPair()
    for (const timeout of [3000, 1000, 2000]) base.newTimer(never).add(timeout)
    const [high, low] = left > right ? [left, right] : [right, left]
    base.newEvent(high, EV.READ, never).add()
    base.newEvent(low, EV.READ, never).add()
    const records = base.events()
    expect(records.map(({ fd }) => fd)).toEqual([low, high, -1, -1, -1])
    const deadlines = records.slice(2).map(({ expiresAt }) => expiresAt ?? 0)
    expect(deadlines).toEqual(deadlines.toSorted((a, b) => a - b))
  })

  it('is a copy: the base may be changed during an iteration', () => {
    const base = openBase()
    for (let number = 0; number < 10; number += 1) base.newTimer(never).add(1000)
    for (const { event } of base.events()) event?.close()
    expect(base.events()).toEqual([])
  })
})
