import { describe, expect, it } from 'vitest'

import { EV } from '../../index.js'
import { never, openBase, until } from '../support/base.js'

/** The milliseconds that a timer of `timeout` milliseconds takes. */
function measure(timeout: number): number {
  const base = openBase()
  let end = 0
  const timer = base.newTimer(() => (end = performance.now()))
  const start = performance.now()
  timer.add(timeout)
  base.dispatch()
  return end - start
}

describe('a timer', () => {
  it.each([0.01, 0.05, 0.2, 0.999, 1, 1.001, 2.5, 7.3])('of %f ms is never early', (timeout) => {
    for (let round = 0; round < 20; round += 1) expect(measure(timeout)).toBeGreaterThanOrEqual(timeout)
  })

  it('of a fraction of a millisecond is not rounded up to one', async () => {
    // A busy machine may be late in some attempts, but not in all.
    await until(() => measure(0.2) < 1, 'a timer that took less than a millisecond')
  })

  it('of 0 fires in the next pass, without waiting', () => {
    const base = openBase()
    const results: number[] = []
    base.newTimer((_, what) => results.push(what)).add(0)
    expect(base.loop(2)).toBe(1)
    expect(results).toEqual([EV.TIMEOUT])
  })

  it('C-039: calls back with -1, TIMEOUT and itself', () => {
    const base = openBase()
    const calls: unknown[][] = []
    const timer = base.newTimer((...args) => calls.push(args)).add(2)
    expect(base.dispatch()).toBe(1)
    expect(calls).toEqual([[-1, EV.TIMEOUT, timer]])
    expect(timer.pending()).toBe(0)
  })

  it('does not count the time that callbacks took before it was added', () => {
    const base = openBase()
    const order: string[] = []
    const late = base.newTimer(() => order.push('late'))
    base
      .newTimer(() => {
        late.add(3)
        const added = base.now()
        base.newTimer(() => order.push('early')).add(2)
        // The loop's time is constant during a callback, and both timeouts count from it.
        expect(late.expiresAt).toBeCloseTo(added + 3, 0)
      })
      .add(1)
    base.dispatch()
    expect(order).toEqual(['early', 'late'])
  })

  it('C-041: of a day does not delay an exit', () => {
    const base = openBase()
    base.newTimer(never).add(86_400_000)
    const start = performance.now()
    expect(base.loopExit(20).dispatch()).toBe(0)
    expect(performance.now() - start).toBeGreaterThanOrEqual(20)
    expect([base.gotExit, base.gotBreak]).toEqual([true, false])
  })
})

describe('expiresAt', () => {
  it('C-097: is never later than the time now and the timeout', () => {
    const base = openBase()
    const timer = base.newTimer(never)
    for (let round = 0; round < 1000; round += 1) {
      timer.add(500)
      // The two clocks it is made from are read one after the other.
      expect(timer.expiresAt).toBeLessThanOrEqual(base.now() + 500 + 0.1)
    }
  })

  it('C-048: is about now and the timeout, in wall-clock milliseconds', () => {
    const timer = openBase().newTimer(never)
    const before = Date.now()
    timer.add(500)
    expect(timer.expiresAt).toBeGreaterThan(before + 499)
    expect(timer.expiresAt).toBeLessThan(Date.now() + 502)
  })

  it('is undefined without a deadline', () => {
    const base = openBase()
    const timer = base.newTimer(never)
    expect(timer.expiresAt).toBeUndefined()
    expect(timer.add(5).del().expiresAt).toBeUndefined()
    expect(timer.add(5).removeTimer().expiresAt).toBeUndefined()
    expect(timer.add().expiresAt).toBeUndefined()
  })
})
