import { describe, expect, it } from 'vitest'

import { EV, LoopResult } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { readText, openPair, writeText } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'

describe('once()', () => {
  it('C-046: runs each kind once, with the right bit', () => {
    const base = openBase()
    const [left, right] = openPair()
    const calls: [string, number, number][] = []
    const note =
      (name: string) =>
      (fd: number, what: number): void =>
        void calls.push([name, fd, what])
    base.once(left, EV.READ, note('read'))
    base.once(-1, EV.TIMEOUT, note('later'), 5)
    base.once(-1, EV.TIMEOUT, note('at once'))
    base.once(-1, EV.TIMEOUT, note('zero'), 0)
    writeText(right, 'x')
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(calls.toSorted()).toEqual([
      ['at once', -1, EV.TIMEOUT],
      ['later', -1, EV.TIMEOUT],
      ['read', left, EV.READ],
      ['zero', -1, EV.TIMEOUT],
    ])
    expect(readText(left)).toBe('x')
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(calls).toHaveLength(4)
  })

  it('on a descriptor reports its timeout', () => {
    const base = openBase()
    const [left] = openPair()
    const results: number[] = []
    base.once(left, EV.READ, (_, what) => results.push(what), 2)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(results).toEqual([EV.TIMEOUT])
  })

  it('is not early', () => {
    const base = openBase()
    const start = performance.now()
    base.once(-1, EV.TIMEOUT, () => {}, 1.5)
    base.dispatch()
    expect(performance.now() - start).toBeGreaterThanOrEqual(1.5)
  })

  it('C-047: that never fired is not called, and is freed with its base', () => {
    const base = openBase()
    base.once(openPair()[0], EV.READ, never)
    base.once(-1, EV.TIMEOUT, never, 60_000)
    expect(base.countEvents(4)).toBe(2)
    base.close()
  })

  it('without an interest and a timeout is refused for its flags, whatever its descriptor', () => {
    const base = openBase()
    for (const fd of [-1, openPair()[0]])
      expect(refusal(() => base.once(fd, 0, never))).toBe('ERR_EVENT_BAD_FLAGS')
  })

  it('passes its event to its callback, which may keep and use it', () => {
    const base = openBase()
    const fired: number[] = []
    base.once(-1, EV.TIMEOUT, (_fd, what, event) => {
      fired.push(what)
      expect(base.runningEvent).toBe(event)
      if (fired.length < 3) event.add(1)
    })
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(fired).toEqual([EV.TIMEOUT, EV.TIMEOUT, EV.TIMEOUT])
  })
})
