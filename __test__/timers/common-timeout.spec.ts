import { describe, expect, it } from 'vitest'

import { EV, LoopFlag, LoopResult, type Event } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { openPair } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'

describe('a common timeout', () => {
  it('C-023: behaves as its number does, for one-shot and persistent timers', () => {
    const base = openBase()
    const [short, long] = [base.commonTimeout(5), base.commonTimeout(10)]
    expect([short.ms, long.ms]).toEqual([5, 10])
    const start = performance.now()
    const counts = Array.from({ length: 100 }, () => 0)
    counts.forEach((_, index) => {
      const callback = (_fd: number, what: number, event: Event): void => {
        expect(what).toBe(EV.TIMEOUT)
        counts[index] = (counts[index] ?? 0) + 1
        if (counts[index] === 4) event.del()
      }
      const timer = base.newTimer(callback, { persist: true })
      // Moves the timer from the heap to a queue, and from one queue to another.
      if (index % 3 === 0) timer.add(1000)
      timer.add(index % 2 === 0 ? long : short).add(index % 2 === 0 ? short : long)
    })
    const order: string[] = []
    base.newTimer(() => order.push('b')).add(long)
    base.newTimer(() => order.push('a')).add(short)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(performance.now() - start).toBeGreaterThanOrEqual(40)
    expect(counts).toEqual(counts.map(() => 4))
    expect(order).toEqual(['a', 'b'])
  })

  it('of 0 expires in the next pass', () => {
    const base = openBase()
    let count = 0
    base.newTimer(() => (count += 1)).add(base.commonTimeout(0))
    expect(base.loop(LoopFlag.NONBLOCK)).toBe(LoopResult.EMPTY)
    expect(count).toBe(1)
  })

  it('works with a descriptor', () => {
    const base = openBase()
    const [left] = openPair()
    const results: number[] = []
    const before = base.now()
    const reader = base.newEvent(left, EV.READ, (_, what) => results.push(what)).add(base.commonTimeout(5))
    expect(reader.pending()).toBe(EV.READ | EV.TIMEOUT)
    expect(reader.expiresAt).toBeGreaterThan(before)
    base.dispatch()
    expect(results).toEqual([EV.TIMEOUT])
  })

  it('can be removed and replaced', () => {
    const base = openBase()
    const common = base.commonTimeout(60_000)
    const timers = [0, 1, 2].map(() => base.newTimer(never).add(common))
    timers[0]?.removeTimer()
    timers[1]?.del()
    timers[2]?.close()
    expect(timers.slice(0, 2).map((timer) => timer.pending())).toEqual([0, 0])
    let fired = false
    const replaced = base.newTimer(() => (fired = true)).add(common)
    replaced.add(1)
    base.newTimer(never).add(common)
    base.loopExit(20)
    base.dispatch()
    expect(fired).toBe(true)
    // One timer is still pending.
    base.close()
  })

  it('belongs to its base', () => {
    const [base, other] = [openBase(), openBase()]
    const foreign = other.commonTimeout(5)
    base.commonTimeout(5)
    const timer = base.newTimer(never)
    expect(refusal(() => timer.add(foreign))).toBe('ERR_OUT_OF_RANGE')
    timer.add(60_000)
    expect(refusal(() => timer.add(foreign))).toBe('ERR_OUT_OF_RANGE')
    expect(timer.pending()).toBe(EV.TIMEOUT)
    timer.del()
  })

  it('accepts only times', () => {
    const base = openBase()
    for (const ms of [-1, NaN, Infinity, -Infinity, Number.MAX_VALUE]) {
      expect(refusal(() => base.commonTimeout(ms))).toBe('ERR_OUT_OF_RANGE')
    }
    for (const ms of ['5', null, undefined, {}, 5n]) {
      expect(refusal(() => base.commonTimeout(ms as never))).toBe('ERR_INVALID_ARG_TYPE')
    }
  })

  it('cannot be forged', () => {
    const base = openBase()
    const common = base.commonTimeout(5)
    const timer = base.newTimer(never)
    const fakes = [{}, { ms: 5 }, Object.create(common) as object, null, '5', () => 5, [5], Symbol('5')]
    for (const fake of fakes) {
      expect(refusal(() => timer.add(fake as never))).toBe('ERR_INVALID_ARG_TYPE')
    }
    expect(() => ((common as { ms: number }).ms = 1)).toThrow(TypeError)
    expect(timer.pending()).toBe(0)
  })

  it('is one of at most 256 durations', () => {
    const base = openBase()
    for (let ms = 0; ms < 256; ms += 1) base.commonTimeout(ms)
    expect(refusal(() => base.commonTimeout(256))).toBe('ERR_OUT_OF_RANGE')
    // The durations that are registered still work.
    let count = 0
    base.newTimer(() => (count += 1)).add(base.commonTimeout(1))
    base.dispatch()
    expect(count).toBe(1)
  })
})
