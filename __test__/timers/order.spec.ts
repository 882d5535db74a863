import { describe, expect, it } from 'vitest'

import { openBase } from '../support/base.js'

describe('timers', () => {
  it('with the same deadline fire in the order they were added', () => {
    const base = openBase()
    const fired: number[] = []
    const expected = Array.from({ length: 300 }, (_, number) => number)
    // The loop's time is constant during a callback, so that the deadlines are equal.
    base.newTimer(() => expected.forEach((number) => base.newTimer(() => fired.push(number)).add(2))).add(0)
    base.dispatch()
    expect(fired).toEqual(expected)
  })

  it('fire in the order of their deadlines, whatever the order of adding', () => {
    const base = openBase()
    const fired: number[] = []
    const timeouts = Array.from({ length: 200 }, (_, number) => ((number * 7919) % 200) / 20)
    base
      .newTimer(() => {
        for (const timeout of timeouts) base.newTimer(() => fired.push(timeout)).add(timeout)
      })
      .add(0)
    base.dispatch()
    expect(fired).toEqual(timeouts.toSorted((a, b) => a - b))
  })

  it('C-086: fire in order after some of a thousand were deleted', () => {
    const base = openBase()
    const fired: number[] = []
    let seed = 12_345
    const random = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31
    base
      .newTimer(() => {
        const timers = Array.from({ length: 1024 }, () => {
          const timeout = Math.floor(random() * 1000) / 100
          return base.newTimer(() => fired.push(timeout)).add(timeout)
        })
        for (const timer of timers) if (random() < 0.5) timer.del()
      })
      .add(0)
    base.dispatch()
    expect(fired.length).toBeGreaterThan(300)
    expect(fired).toEqual(fired.toSorted((a, b) => a - b))
  })
})
