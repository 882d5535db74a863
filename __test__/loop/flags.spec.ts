import { describe, expect, it } from 'vitest'

import { EV, LoopFlag, LoopResult } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'

describe('loop()', () => {
  it('returns EMPTY immediately when nothing is pending', () => {
    const base = openBase()
    expect(base.loop()).toBe(LoopResult.EMPTY)
    expect(base.loop(LoopFlag.ONCE)).toBe(LoopResult.EMPTY)
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(LoopResult.EMPTY)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
  })

  it('does not count an event that was made and never added', () => {
    const base = openBase()
    base.newTimer(never)
    expect(base.loop()).toBe(LoopResult.EMPTY)
  })

  it('runs until the last event has fired', () => {
    const base = openBase()
    let count = 0
    for (const timeout of [1, 3, 2]) base.newTimer(() => (count += 1)).add(timeout)
    expect(base.loop()).toBe(LoopResult.EMPTY)
    expect(count).toBe(3)
  })
})

describe('ONCE', () => {
  it('waits for the first activity, runs it and returns', () => {
    const base = openBase()
    const order: string[] = []
    base.newTimer(() => order.push('first')).add(2)
    base.newTimer(() => order.push('second')).add(60_000)
    expect(base.loop(LoopFlag.ONCE)).toBe(LoopResult.STOPPED)
    expect(order).toEqual(['first'])
  })

  it('returns EMPTY on the next call when nothing is pending', () => {
    const base = openBase()
    base.newTimer(() => {}).add(1)
    expect(base.loop(LoopFlag.ONCE)).toBe(LoopResult.STOPPED)
    expect(base.loop(LoopFlag.ONCE)).toBe(LoopResult.EMPTY)
  })

  it('runs everything that is active', () => {
    const base = openBase()
    let count = 0
    for (let number = 0; number < 10; number += 1) base.newTimer(() => (count += 1)).add(0)
    expect(base.loop(LoopFlag.ONCE)).toBe(LoopResult.STOPPED)
    expect(count).toBe(10)
  })
})

describe('NONBLOCK', () => {
  it('runs what is ready and does not wait for more', () => {
    const base = openBase()
    const [left, right] = openPair()
    const fired: string[] = []
    base.newEvent(left, EV.READ, () => fired.push('read')).add()
    base.newTimer(never).add(60_000)
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(LoopResult.STOPPED)
    expect(fired).toEqual([])
    writeText(right, 'x')
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(LoopResult.STOPPED)
    expect(fired).toEqual(['read'])
  })

  it('returns EMPTY if nothing is left', () => {
    const base = openBase()
    base.newTimer(() => {}).add(0)
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(LoopResult.EMPTY)
  })

  it('returns although an event activates itself for ever', () => {
    const base = openBase()
    let count = 0
    base
      .newEvent(-1, 0, (_fd, _what, event) => {
        count += 1
        event.activate()
      })
      .activate()
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(LoopResult.STOPPED)
    expect(count).toBeGreaterThan(0)
    expect(count).toBeLessThan(100)
  })

  it('with ONCE is NONBLOCK', () => {
    const base = openBase()
    base.newTimer(never).add(60_000)
    expect(base.loop(LoopFlag.NONBLOCK | LoopFlag.ONCE)).toBe(LoopResult.STOPPED)
  })
})

describe('NO_EXIT_ON_EMPTY', () => {
  it('C-092: waits for an exit even when nothing is pending', () => {
    const base = openBase()
    const start = performance.now()
    expect(base.loopExit(20).loop(LoopFlag.NO_EXIT_ON_EMPTY)).toBe(LoopResult.STOPPED)
    expect(performance.now() - start).toBeGreaterThanOrEqual(20)
  })

  it('continues after the last event', () => {
    const base = openBase()
    const order: string[] = []
    base.newTimer(() => order.push('timer')).add(1)
    base.loopExit(20)
    expect(base.loop(LoopFlag.NO_EXIT_ON_EMPTY)).toBe(LoopResult.STOPPED)
    expect(order).toEqual(['timer'])
  })

  it('with NONBLOCK does not wait', () => {
    expect(openBase().loop(LoopFlag.NO_EXIT_ON_EMPTY | LoopFlag.NONBLOCK)).toBe(LoopResult.STOPPED)
  })
})
