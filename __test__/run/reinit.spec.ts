import { describe, expect, it } from 'vitest'

import { EV, LoopResult } from '../../index.js'
import { openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'

describe('a base after reinit()', () => {
  it('keeps its events, and can loop', () => {
    const base = openBase()
    const [left, right] = openPair()
    const order: string[] = []
    base.newEvent(left, EV.READ, () => order.push('read')).add()
    base.newTimer(() => order.push('timer')).add(2)
    expect(base.reinit()).toBe(base)
    writeText(right, 'x')
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(order).toEqual(['read', 'timer'])
  })

  it('continues to run inside the host', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const order: string[] = []
    const reader = base.newEvent(left, EV.READ | EV.PERSIST, () => {
      order.push('read')
      reader.close()
      base.newTimer(() => order.push('second timer')).add(3)
    })
    reader.add()
    base.newTimer(() => order.push('timer')).add(20)
    const running = base.run()
    setTimeout(() => {
      base.reinit()
      order.push('reinit')
    }, 2)
    setTimeout(function speak() {
      if (order.length === 2) writeText(right, 'x')
      else setTimeout(speak, 5)
    }, 2)
    expect(await running).toBe(LoopResult.EMPTY)
    // The first two come in either order on a machine that is busy.
    expect(order.slice(0, 2).toSorted()).toEqual(['reinit', 'timer'])
    expect(order.slice(2)).toEqual(['read', 'second timer'])
  })

  it('in a callback, repeatedly, continues to run', async () => {
    const base = openBase()
    const [left, right] = openPair()
    let count = 0
    const reader = base.newEvent(left, EV.READ | EV.ET | EV.PERSIST, () => {
      count += 1
      base.reinit()
      // Not read: after reinit() the backend reports it again.
      if (count === 5) reader.close()
    })
    reader.add()
    const running = base.run()
    writeText(right, 'x')
    expect(await running).toBe(LoopResult.EMPTY)
    expect(count).toBe(5)
  })

  it('is still woken by changes between its callbacks', async () => {
    const base = openBase()
    const event = base.newEvent(-1, 0, () => void base.loopExit())
    base.newTimer(() => {}).add(9_000)
    const running = base.run()
    setTimeout(() => base.reinit(), 1)
    setTimeout(() => event.activate(), 10)
    expect(await running).toBe(LoopResult.STOPPED)
    event.activate()
    expect(base.dispatch()).toBe(LoopResult.STOPPED)
  })
})
