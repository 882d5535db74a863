import { describe, expect, it } from 'vitest'

import { BaseFlag, EV, EventConfig, LoopResult } from '../../index.js'
import { openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'

const config = (): EventConfig => new EventConfig().setFlags(BaseFlag.NOLOCK)

describe('a base without locks', () => {
  it('works like any other base on its own thread', () => {
    const base = openBase(config())
    const [left, right] = openPair()
    const order: string[] = []
    base.newEvent(left, EV.READ, () => order.push('read')).add()
    base.newTimer(() => writeText(right, 'x')).add(1)
    base.newEvent(-1, 0, () => order.push('user')).activate()
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(order).toEqual(['user', 'read'])
  })

  it('runs inside the host, and is woken from outside callbacks', async () => {
    const base = openBase(config())
    const [left, right] = openPair()
    const order: string[] = []
    base.newEvent(left, EV.READ, () => order.push('read')).add()
    const running = base.run()
    setTimeout(() => {
      order.push('setTimeout')
      base.newTimer(() => writeText(right, 'x')).add(1)
    }, 5)
    expect(await running).toBe(LoopResult.EMPTY)
    expect(order).toEqual(['setTimeout', 'read'])
  })

  it('lets callbacks use it', () => {
    const base = openBase(config())
    const seen: number[] = []
    base
      .newTimer((_fd, _what, event) => {
        seen.push(event.pending(), base.countEvents(7), base.events().length)
      })
      .add(0)
    base.dispatch()
    expect(seen).toEqual([0, 0, 0])
  })
})
