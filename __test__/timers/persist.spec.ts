import { describe, expect, it } from 'vitest'

import { EV, type Event } from '../../index.js'
import { atSomePace, openBase, stall } from '../support/base.js'

describe('a persistent timer', () => {
  it('C-018: repeats until it is deleted', () => {
    const base = openBase()
    let count = 0
    const start = performance.now()
    const timer = base.newTimer(() => (count += 1) === 6 && timer.del(), { persist: true })
    timer.add(10)
    expect(base.dispatch()).toBe(1)
    expect(count).toBe(6)
    expect(performance.now() - start).toBeGreaterThanOrEqual(60)
  })

  it('is pending again while its callback runs', () => {
    const base = openBase()
    const seen: number[] = []
    const callback = (_fd: number, _what: number, event: Event): void => {
      seen.push(event.pending())
      event.del()
    }
    base.newTimer(callback, { persist: true }).add(1)
    base.dispatch()
    expect(seen).toEqual([EV.TIMEOUT])
  })

  it('keeps its phase when it is late by less than its period', async () => {
    await atSomePace((pace) => {
      const period = 60 * pace
      const base = openBase()
      let [next, late] = [0, 0]
      const callback = (_fd: number, _what: number, event: Event): void => {
        next = event.expiresAt ?? 0
        late = base.now() - first
        event.del()
      }
      const first = base.newTimer(callback, { persist: true }).add(period).expiresAt ?? 0
      stall(period + 25)
      base.dispatch()
      expect(late).toBeGreaterThan(24)
      if (late > period - 1) return false
      expect(next).toBeCloseTo(first + period, 0)
      return true
    })
  })

  it('C-019: does not make up for periods that were missed', () => {
    const base = openBase()
    let count = 0
    let untilNext = 0
    const callback = (_fd: number, _what: number, event: Event): void => {
      count += 1
      untilNext = (event.expiresAt ?? 0) - base.now()
    }
    base.newTimer(callback, { persist: true }).add(50)
    // Three periods expire before the pass.
    stall(180)
    base.loop(1)
    expect(count).toBe(1)
    expect(untilNext).toBeGreaterThan(49)
    expect(untilNext).toBeLessThan(51)
  })

  it('C-020: restarts its period at an activation', () => {
    const base = openBase()
    const results: number[] = []
    let untilNext = 0
    const timer = base.newTimer(
      (_, what) => {
        results.push(what)
        untilNext = (timer.expiresAt ?? 0) - base.now()
        if (results.length === 3) timer.del()
      },
      { persist: true },
    )
    timer.add(60_000)
    stall(20)
    base.newTimer(() => timer.activate(EV.READ)).add(0)
    // An event that a callback activates runs in the same pass.
    base.loop(1)
    expect(results).toEqual([EV.READ])
    expect(untilNext).toBeGreaterThan(59_999)
    expect(untilNext).toBeLessThan(60_001)
    timer.add(5)
    base.dispatch()
    expect(results).toEqual([EV.READ, EV.TIMEOUT, EV.TIMEOUT])
  })

  it('of 0 ms does not starve other events', () => {
    const base = openBase()
    let count = 0
    const timer = base.newTimer(() => (count += 1), { persist: true })
    timer.add(0)
    base.newTimer(() => timer.del()).add(2)
    expect(base.dispatch()).toBe(1)
    expect(count).toBeGreaterThan(0)
  })

  it('without a timeout is not pending', () => {
    const base = openBase()
    expect(
      base
        .newTimer(() => {}, { persist: true })
        .add()
        .pending(),
    ).toBe(0)
    expect(base.dispatch()).toBe(1)
  })
})
