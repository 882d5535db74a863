import { describe, expect, it } from 'vitest'

import { EventConfig, LoopFlag, LoopResult, type Event } from '../../index.js'
import { openBase } from '../support/base.js'

describe('an event that a callback activates', () => {
  it('runs in the same pass if it has not run in it', () => {
    const base = openBase()
    const order: string[] = []
    const second = base.newEvent(-1, 0, () => order.push('second'))
    base
      .newEvent(-1, 0, () => {
        order.push('first')
        second.activate()
      })
      .activate()
    base.loop(LoopFlag.ONCE)
    expect(order).toEqual(['first', 'second'])
  })

  it('runs in the next pass if it is the one that runs', () => {
    const base = openBase()
    let count = 0
    base
      .newEvent(-1, 0, (_fd, _what, event) => {
        count += 1
        event.activate()
      })
      .activate()
    base.loop(LoopFlag.ONCE)
    expect(count).toBe(1)
    base.loop(LoopFlag.ONCE)
    expect(count).toBe(2)
  })

  it('runs in the next pass if it was made by a callback of this one', () => {
    const base = openBase()
    let count = 0
    const again = (): void => {
      count += 1
      base.newEvent(-1, 0, again).activate()
    }
    base.newEvent(-1, 0, again).activate()
    base.loop(LoopFlag.ONCE)
    expect(count).toBe(1)
  })

  it('runs in the next pass if it has run in this one, whatever its priority', () => {
    const base = openBase(new EventConfig().setPriorities(2))
    const order: string[] = []
    const urgent: Event = base.newEvent(
      -1,
      0,
      () => {
        order.push('urgent')
        other.activate()
      },
      { priority: 0 },
    )
    const other: Event = base.newEvent(
      -1,
      0,
      () => {
        order.push('other')
        urgent.activate()
      },
      { priority: 1 },
    )
    urgent.activate()
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(LoopResult.STOPPED)
    expect(order).toEqual(['urgent', 'other'])
  })
})
