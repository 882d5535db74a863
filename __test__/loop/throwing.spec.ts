import { describe, expect, it } from 'vitest'

import { CountFlag, EventConfig, LoopResult } from '../../index.js'
import { openBase } from '../support/base.js'
import { thrownBy } from '../support/errors.js'

describe('an exception of a callback', () => {
  it.each([
    ['an Error', new Error('mine')],
    ['a subclass', new TypeError('mine')],
    ['a string', 'just a string'],
    ['undefined', undefined],
    ['null', null],
    ['a number', 42],
    ['a symbol', Symbol('mine')],
    ['an object', { mine: true }],
    ['a frozen object', Object.freeze({ mine: true })],
    ['a function', () => {}],
  ])('is thrown by the loop unchanged: %s', (_, value) => {
    const base = openBase()
    base
      .newTimer(() => {
        throw value
      })
      .add(0)
    expect(thrownBy(() => base.dispatch())).toBe(value)
  })

  it('leaves active events for the next loop, in order', () => {
    const base = openBase(new EventConfig().setPriorities(2))
    const order: string[] = []
    const make = (name: string, priority: number, throws = false): void => {
      const callback = (): void => {
        order.push(name)
        if (throws) throw new Error(name)
      }
      base.newEvent(-1, 0, callback, { priority }).activate()
    }
    make('a', 0)
    make('b', 0, true)
    make('c', 0)
    make('d', 1, true)
    make('e', 1)
    expect(() => base.dispatch()).toThrow('b')
    expect(base.countEvents(CountFlag.ACTIVE)).toBe(3)
    expect(() => base.dispatch()).toThrow('d')
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(order).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('leaves the loop ready to be entered, and no event running', () => {
    const base = openBase()
    base
      .newTimer(() => {
        expect(base.runningEvent).toBeDefined()
        throw new Error('once')
      })
      .add(0)
    expect(() => base.dispatch()).toThrow('once')
    expect(base.runningEvent).toBeUndefined()
    for (let round = 0; round < 3; round += 1) expect(base.dispatch()).toBe(LoopResult.EMPTY)
  })

  it('does not delete a persistent event', () => {
    const base = openBase()
    let count = 0
    const timer = base.newTimer(
      () => {
        count += 1
        if (count === 4) timer.del()
        throw new Error(`round ${count}`)
      },
      { persist: true },
    )
    timer.add(1)
    for (let round = 1; round <= 4; round += 1) expect(() => base.dispatch()).toThrow(`round ${round}`)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
  })

  it('passes through two nested loops', () => {
    const outer = openBase()
    const inner = openBase()
    inner
      .newTimer(() => {
        throw new Error('from within')
      })
      .add(0)
    outer.newTimer(() => void inner.dispatch()).add(0)
    expect(() => outer.dispatch()).toThrow('from within')
    expect(inner.dispatch()).toBe(LoopResult.EMPTY)
    expect(outer.dispatch()).toBe(LoopResult.EMPTY)
  })

  it('does not lose a break that was requested before', () => {
    const base = openBase()
    base
      .newTimer(() => {
        base.loopBreak()
        throw new Error('broken')
      })
      .add(0)
    expect(() => base.dispatch()).toThrow('broken')
    expect(base.gotBreak).toBe(true)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(base.gotBreak).toBe(false)
  })
})
