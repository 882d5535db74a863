import { describe, expect, it } from 'vitest'

import { EventConfig, LoopFlag } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { refusal } from '../support/errors.js'

describe('priorities', () => {
  it('of events are lowered with the number of priorities, pending or not, and stay lowered', () => {
    const base = openBase(new EventConfig().setPriorities(4))
    const pending = base.newTimer(never, { priority: 3 }).add(1000)
    const idle = base.newTimer(never, { priority: 3 })
    const urgent = base.newTimer(never, { priority: 0 })
    base.setPriorities(2).setPriorities(4)
    expect([pending.priority, idle.priority, urgent.priority]).toEqual([1, 1, 0])
    expect(base.events().map(({ priority }) => priority)).toEqual([1])
    idle.add(1000)
    expect(base.events().map(({ priority }) => priority)).toEqual([1, 1])
    idle.priority = 3
    expect([idle.priority, base.events()[1]?.priority]).toEqual([3, 3])
    const fresh = base.newTimer(never, { priority: 3 })
    expect(fresh.priority).toBe(3)
  })

  it('are at most 255', () => {
    const base = openBase(new EventConfig().setPriorities(255))
    const order: number[] = []
    for (const priority of [254, 0, 128, 127]) {
      base.newEvent(-1, 0, (_fd, _what, event) => order.push(event.priority), { priority }).activate()
    }
    expect(base.priorities).toBe(255)
    base.dispatch()
    expect(order).toEqual([0, 127, 128, 254])
    expect(refusal(() => base.newTimer(never, { priority: 255 }))).toBe('ERR_OUT_OF_RANGE')
    expect(refusal(() => base.setPriorities(256))).toBe('ERR_OUT_OF_RANGE')
    expect(refusal(() => base.setPriorities(0))).toBe('ERR_OUT_OF_RANGE')
    expect(refusal(() => new EventConfig().setPriorities(256))).toBe('ERR_OUT_OF_RANGE')
    expect(base.setPriorities(255).priorities).toBe(255)
  })
})

describe('an idle event that a callback adds and activates', () => {
  it('runs in the pass in progress as one that is only activated does', () => {
    const base = openBase()
    const order: string[] = []
    const added = base.newTimer(() => order.push('added'))
    const activated = base.newEvent(-1, 0, () => order.push('activated'))
    base
      .newEvent(-1, 0, () => {
        order.push('first')
        added.add(1000).activate()
        activated.activate()
      })
      .activate()
    base.loop(LoopFlag.ONCE)
    expect(order).toEqual(['first', 'added', 'activated'])
  })

  it('runs in the next pass if it has run in this one', () => {
    const base = openBase()
    let calls = 0
    const again = base.newTimer(() => {
      calls += 1
      if (calls < 3) again.add(1000).activate()
    })
    again.activate()
    base.loop(LoopFlag.ONCE)
    expect(calls).toBe(1)
  })
})
