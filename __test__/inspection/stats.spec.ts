import { describe, expect, it } from 'vitest'

import { EV, type EventBase, EventConfig, type LoopResult } from '../../index.js'
import { openBase, stall } from '../support/base.js'
import { openPair } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'

const measured = (): EventBase => openBase(new EventConfig().measure())

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

const ways: [string, (base: EventBase) => LoopResult | Promise<LoopResult>][] = [
  ['loop()', (base) => base.loop()],
  ['run()', async (base) => await base.run()],
]

describe.each(ways)('stats under %s', (_, go) => {
  it('counts passes, waits, and events by their result', async () => {
    const base = openBase()
    const [left] = openPair()
    base.newEvent(left, EV.WRITE, () => {}).add()
    base.newTimer(() => {}).add(1)
    base.newTimer(() => {}).add(60)
    base.newEvent(-1, 0, () => {}).activate()
    base.newEvent(-1, 0, () => {}).activate(EV.READ | EV.TIMEOUT)
    base.newEvent(-1, 0, () => {}).finalize()
    await go(base)
    const { passes, waits, events, timing } = base.stats
    expect(events).toEqual({ io: 2, signal: 0, timer: 2, finalizer: 1, user: 1 })
    expect(passes).toBeGreaterThanOrEqual(2)
    expect(waits).toBeGreaterThanOrEqual(2)
    expect(timing).toBeUndefined()
  })

  it('measures callbacks, waits and the lag of timers on request', async () => {
    const base = measured()
    const late = base.newTimer(() => {})
    const slow = base.newTimer(() => {
      late.add(1)
      stall(20)
    })
    const { id } = slow.add(1)
    await go(base)
    const { timing } = base.stats
    expect(timing?.callbacks.count).toBe(2)
    expect(timing?.callbacks.max).toBeGreaterThanOrEqual(20)
    expect(timing?.slowest).toEqual({ id, duration: timing?.callbacks.max })
    // The second timer expired while the first callback ran.
    expect(timing?.timerLag.max).toBeGreaterThanOrEqual(15)
    for (const times of [timing?.callbacks, timing?.polling, timing?.timerLag]) {
      expect(times?.buckets).toHaveLength(32)
      expect(sum(times?.buckets ?? [])).toBe(times?.count)
      expect(times?.total).toBeGreaterThanOrEqual(times?.max ?? Infinity)
    }
  })
})

describe('stats', () => {
  it('does not count the work of the host between callbacks', async () => {
    const base = measured()
    const periodic = base.newTimer(() => {}, { persist: true }).add(10)
    const busy = setInterval(() => stall(30), 5)
    setTimeout(() => {
      clearInterval(busy)
      periodic.close()
    }, 200)
    await base.run()
    const { timing } = base.stats
    expect(timing?.callbacks.count).toBeGreaterThan(1)
    expect(timing?.callbacks.total).toBeLessThan((timing?.callbacks.count ?? 0) * 25)
  })

  it('are set to 0 by resetStats()', () => {
    const base = measured()
    base.newTimer(() => {}).add(1)
    base.dispatch()
    expect(base.resetStats().events.timer).toBe(1)
    const { passes, waits, events, timing } = base.stats
    expect([passes, waits, events.timer, timing?.callbacks.count]).toEqual([0, 0, 0, 0])
    expect(timing?.slowest).toBeUndefined()
  })

  it('is a frozen copy', () => {
    const base = measured()
    const stats = base.stats
    base.newTimer(() => {}).add(0)
    base.dispatch()
    expect(stats.passes).toBe(0)
    const parts = [stats, stats.events, stats.wakeups, stats.timing, stats.timing?.callbacks.buckets]
    expect(parts.map((part) => Object.isFrozen(part))).toEqual([true, true, true, true, true])
  })

  it('are measured only if measure() was given a boolean', () => {
    expect(refusal(() => new EventConfig().measure(1 as never))).toBe('ERR_INVALID_ARG_TYPE')
  })
})
