import { describe, expect, it } from 'vitest'

import { EV } from '../../index.js'
import { openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'

describe('after each callback under run()', () => {
  it('nextTick and microtasks are run before the next callback', async () => {
    const base = openBase()
    const order: string[] = []
    for (const name of ['a', 'b', 'c']) {
      base
        .newEvent(-1, 0, () => {
          order.push(name)
          Promise.resolve()
            .then(() => order.push(`${name} microtask`))
            .then(() => order.push(`${name} second microtask`))
            .catch(() => {})
          process.nextTick(() => order.push(`${name} tick`))
        })
        .activate()
    }
    await base.run()
    const expected = ['a', 'b', 'c'].flatMap((name) => [
      name,
      `${name} tick`,
      `${name} microtask`,
      `${name} second microtask`,
    ])
    expect(order).toEqual(expected)
  })

  it('also between events of a descriptor and of a timer', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const order: string[] = []
    const note =
      (name: string): (() => void) =>
      () => {
        order.push(name)
        queueMicrotask(() => order.push(`${name} microtask`))
      }
    base.newEvent(left, EV.READ, note('read')).add()
    base.newTimer(note('timer')).add(0)
    writeText(right, 'x')
    await base.run()
    expect(order).toHaveLength(4)
    expect([order[1], order[3]]).toEqual([`${order[0]} microtask`, `${order[2]} microtask`])
  })

  it('an event that a microtask deletes does not fire', async () => {
    const base = openBase()
    const fired: string[] = []
    const victim = base.newTimer(() => fired.push('victim'))
    base
      .newTimer(() => {
        fired.push('first')
        queueMicrotask(() => victim.del())
      })
      .add(0)
    victim.add(0)
    expect(await base.run()).toBe(1)
    expect(fired).toEqual(['first'])
  })
})
