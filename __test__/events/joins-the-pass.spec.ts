import { describe, expect, it } from 'vitest'

import { LoopFlag } from '../../index.js'
import { openBase } from '../support/base.js'

describe('an event that a callback activates', () => {
  it('belongs to the same pass if it has not had its turn in it', () => {
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

  it('is left to the next pass if it is the one that runs', () => {
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

  it('is left to the next pass if it was made by a callback of this one', () => {
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
})
