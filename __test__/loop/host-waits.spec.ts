import { describe, expect, it } from 'vitest'

import { openBase } from '../support/base.js'

describe('while loop() runs', () => {
  it("Node's own timers, ticks and promises do not run", async () => {
    const base = openBase()
    const order: string[] = []
    const timer = new Promise<void>((resolve) => {
      setTimeout(() => {
        order.push('setTimeout')
        resolve()
      }, 0)
    })
    process.nextTick(() => order.push('nextTick'))
    const promise = Promise.resolve().then(() => order.push('promise'))
    base.newTimer(() => order.push('base')).add(5)
    base.dispatch()
    order.push('dispatch returned')
    await Promise.all([timer, promise])
    expect(order.slice(0, 2)).toEqual(['base', 'dispatch returned'])
    expect(order.slice(2).toSorted()).toEqual(['nextTick', 'promise', 'setTimeout'])
  })
})
