import { describe, expect, it } from 'vitest'

import { BaseFlag, EventConfig } from '../../index.js'
import { openBase, stall } from '../support/base.js'

/** The results of now() in three slow callbacks of one pass. */
function nows(config: EventConfig, refresh = false): number[] {
  const base = openBase(config)
  const seen: number[] = []
  for (let number = 0; number < 3; number += 1) {
    base
      .newTimer(() => {
        seen.push(base.now())
        stall(12)
        if (refresh) base.updateCachedTime()
      })
      .add(0)
  }
  base.dispatch()
  return seen
}

describe('now()', () => {
  it('C-057: outside the loop is the wall clock', () => {
    const base = openBase()
    const before = Date.now()
    const now = base.now()
    expect(now).toBeGreaterThan(before - 2)
    expect(now).toBeLessThan(Date.now() + 2)
  })

  it('C-058: is constant during a pass, although callbacks take time', () => {
    const [first, ...others] = nows(new EventConfig())
    expect(others).toEqual([first, first])
  })

  it('C-059: is updated by updateCachedTime()', () => {
    const [first = 0, second = 0, third = 0] = nows(new EventConfig(), true)
    expect(second - first).toBeGreaterThan(10)
    expect(third - second).toBeGreaterThan(10)
  })

  it('C-060: advances with NO_CACHE_TIME', () => {
    const config = new EventConfig().setFlags(BaseFlag.NO_CACHE_TIME)
    const [first = 0, second = 0, third = 0] = nows(config)
    expect(second - first).toBeGreaterThan(10)
    expect(third - second).toBeGreaterThan(10)
  })
})

describe('monotonic()', () => {
  it('advances within a callback, and has fractions', () => {
    const base = openBase()
    const seen: number[] = []
    base
      .newTimer(() => {
        seen.push(base.monotonic())
        stall(2)
        seen.push(base.monotonic())
      })
      .add(0)
    base.dispatch()
    const [first = 0, second = 0] = seen
    expect(second - first).toBeGreaterThanOrEqual(2)
    const samples = Array.from({ length: 20 }, () => base.monotonic())
    expect(samples.some((sample) => !Number.isInteger(sample))).toBe(true)
    expect(samples).toEqual(samples.toSorted((a, b) => a - b))
  })
})
