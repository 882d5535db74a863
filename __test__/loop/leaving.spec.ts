import { describe, expect, it } from 'vitest'

import { EV, EventConfig, LoopResult } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'

const { STOPPED, EMPTY } = LoopResult

describe('loopBreak()', () => {
  it('C-040: in the first of two expired timers prevents the second', () => {
    const base = openBase()
    const order: string[] = []
    base
      .newTimer(() => {
        order.push('first')
        base.loopBreak()
      })
      .add(0)
    base.newTimer(() => order.push('second')).add(0)
    expect(base.dispatch()).toBe(STOPPED)
    expect(order).toEqual(['first'])
    expect([base.gotBreak, base.gotExit]).toEqual([true, false])
    expect(base.dispatch()).toBe(EMPTY)
    expect(order).toEqual(['first', 'second'])
    expect([base.gotBreak, base.gotExit]).toEqual([false, false])
  })

  it('before a loop makes only the next one return immediately', () => {
    const base = openBase()
    const order: string[] = []
    base.newTimer(() => order.push('timer')).add(0)
    base.loopBreak()
    expect(base.gotBreak).toBe(true)
    expect(base.dispatch()).toBe(STOPPED)
    expect(order).toEqual([])
    expect(base.gotBreak).toBe(true)
    expect(base.dispatch()).toBe(EMPTY)
    expect(order).toEqual(['timer'])
    expect(base.gotBreak).toBe(false)
  })
})

describe('loopExit()', () => {
  it('in a callback lets the pass finish', () => {
    const base = openBase()
    const order: string[] = []
    base
      .newTimer(() => {
        order.push('first')
        base.loopExit()
        expect(base.gotExit).toBe(true)
      })
      .add(0)
    base.newTimer(() => order.push('second')).add(0)
    base.newTimer(never).add(60_000)
    expect(base.dispatch()).toBe(STOPPED)
    expect(order).toEqual(['first', 'second'])
    expect([base.gotExit, base.gotBreak]).toEqual([true, false])
  })

  it('C-041: leaves the loop after a time', () => {
    const base = openBase()
    base.newTimer(never).add(86_400_000)
    const start = performance.now()
    expect(base.loopExit(30).dispatch()).toBe(STOPPED)
    expect(performance.now() - start).toBeGreaterThanOrEqual(30)
    expect(performance.now() - start).toBeLessThan(5000)
    expect([base.gotExit, base.gotBreak]).toEqual([true, false])
  })

  it('C-042: the first of several takes effect', () => {
    const base = openBase()
    base.newTimer(never).add(86_400_000)
    const start = performance.now()
    expect(base.loopExit(60_000).loopExit(20).dispatch()).toBe(STOPPED)
    expect(performance.now() - start).toBeGreaterThanOrEqual(20)
    expect(performance.now() - start).toBeLessThan(5000)
  })

  it('before a loop lets the next one do a single pass', () => {
    const base = openBase()
    const order: string[] = []
    base.newTimer(() => order.push('due')).add(0)
    base.newTimer(never).add(60_000)
    expect(base.loopExit().dispatch()).toBe(STOPPED)
    expect(order).toEqual(['due'])
  })

  it('keeps a loop with nothing else pending until it expires', () => {
    const base = openBase()
    expect(base.loopExit(5).dispatch()).toBe(STOPPED)
    expect(base.gotExit).toBe(true)
    expect(base.dispatch()).toBe(EMPTY)
    expect(base.gotExit).toBe(false)
  })

  it('after a fraction of a millisecond is not early', () => {
    const base = openBase()
    const start = performance.now()
    base.loopExit(0.3).dispatch()
    expect(performance.now() - start).toBeGreaterThanOrEqual(0.3)
  })
})

describe('loopContinue()', () => {
  it('polls before the rest of the pass', () => {
    const base = openBase(new EventConfig().setPriorities(2))
    const [left, right] = openPair()
    const order: string[] = []
    base.newEvent(left, EV.READ, () => order.push('read'), { priority: 0 }).add()
    base
      .newTimer(() => {
        order.push('first')
        writeText(right, 'x')
        base.loopContinue()
      })
      .add(0)
    base.newTimer(() => order.push('second')).add(0)
    expect(base.dispatch()).toBe(EMPTY)
    expect(order).toEqual(['first', 'read', 'second'])
  })

  it('has no effect outside callbacks', () => {
    const base = openBase()
    let count = 0
    base.newTimer(() => (count += 1)).add(0)
    base.loopContinue()
    expect(base.dispatch()).toBe(EMPTY)
    expect(count).toBe(1)
  })
})

describe('each of them', () => {
  it('returns the base', () => {
    const base = openBase()
    expect(base.loopContinue()).toBe(base)
    expect(base.loopBreak()).toBe(base)
    expect(base.loopExit()).toBe(base)
    expect(base.updateCachedTime()).toBe(base)
    expect(base.setPriorities(1)).toBe(base)
  })
})
