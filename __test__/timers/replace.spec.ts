import { describe, expect, it } from 'vitest'

import { CountFlag, EV } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'

describe('adding a pending timer again', () => {
  it('replaces a later deadline with an earlier one', () => {
    const base = openBase()
    let count = 0
    base
      .newTimer(() => (count += 1))
      .add(60_000)
      .add(1)
    expect(base.dispatch()).toBe(1)
    expect(count).toBe(1)
  })

  it('replaces an earlier deadline with a later one', () => {
    const base = openBase()
    let end = 0
    const start = performance.now()
    base
      .newTimer(() => (end = performance.now()))
      .add(1)
      .add(30)
    base.dispatch()
    expect(end - start).toBeGreaterThanOrEqual(30)
  })

  it('without a timeout changes nothing', () => {
    const base = openBase()
    const timer = base.newTimer(() => {}).add(5000)
    const deadline = timer.expiresAt ?? 0
    timer.add()
    expect(timer.expiresAt).toBeCloseTo(deadline, 0)
    expect(base.countEvents(CountFlag.ADDED)).toBe(1)
  })

  it('cancels a timeout that has expired and whose callback has not run', () => {
    const base = openBase()
    const order: string[] = []
    const second = base.newTimer(() => order.push('second'))
    base
      .newTimer(() => {
        order.push('first')
        second.add(5)
        order.push(`pending ${second.pending()}`)
      })
      .add(0)
    second.add(0)
    base.loop(1)
    expect(order).toEqual(['first', 'pending 1'])
    base.dispatch()
    expect(order).toEqual(['first', 'pending 1', 'second'])
  })
})

describe('removeTimer()', () => {
  it('C-016: stops a pure timer', () => {
    const base = openBase()
    const timer = base.newTimer(never).add(1).removeTimer()
    expect(timer.pending()).toBe(0)
    expect(base.countEvents(CountFlag.ADDED)).toBe(0)
    expect(base.dispatch()).toBe(1)
  })

  it('C-016: leaves the interest of an event, whose timer does not return when it fires', () => {
    const base = openBase()
    const [left, right] = openPair()
    const results: number[] = []
    const event = base.newEvent(left, EV.READ | EV.PERSIST, (_, what) => results.push(what))
    event.add(5).removeTimer()
    expect(event.pending()).toBe(EV.READ)
    base.newTimer(() => writeText(right, 'x')).add(10)
    base.loop(1)
    base.loop(1)
    expect(results).toEqual([EV.READ])
    expect(event.pending()).toBe(EV.READ)
    expect(event.expiresAt).toBeUndefined()
  })

  it('ends the period of a persistent timer, from its own callback too', () => {
    const base = openBase()
    let count = 0
    const timer = base.newTimer(
      () => {
        count += 1
        timer.removeTimer()
      },
      { persist: true },
    )
    timer.add(1)
    expect(base.dispatch()).toBe(1)
    expect(count).toBe(1)
  })

  it('has no effect on an event without a timer', () => {
    const base = openBase()
    const timer = base.newTimer(never)
    expect(timer.removeTimer()).toBe(timer)
    expect(timer.add(5).del().removeTimer().pending()).toBe(0)
  })
})
