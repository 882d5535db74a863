import { describe, expect, it } from 'vitest'

import { CountFlag, EV, EventConfig, LoopFlag, LoopResult, type Event } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'

describe('activate()', () => {
  it('fires a user event without result bits', () => {
    const base = openBase()
    const calls: unknown[][] = []
    const event = base.newEvent(-1, 0, (...args) => calls.push(args))
    expect(event.activate()).toBe(event)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(calls).toEqual([[-1, 0, event]])
  })

  it('C-007: adds its bits to those of an event that is active', () => {
    const base = openBase()
    const results: number[] = []
    const event = base.newEvent(-1, 0, (_, what) => results.push(what))
    event.activate(EV.READ)
    expect(event.pending()).toBe(EV.READ)
    event.activate(EV.WRITE | EV.TIMEOUT)
    expect(event.pending()).toBe(EV.READ | EV.WRITE | EV.TIMEOUT)
    expect(event.pending(EV.WRITE | EV.CLOSED)).toBe(EV.WRITE)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(results).toEqual([EV.READ | EV.WRITE | EV.TIMEOUT])
    expect(event.pending()).toBe(0)
  })

  it('fires an event on a descriptor, which is not pending afterwards', () => {
    const base = openBase()
    const [left] = openPair()
    const results: number[] = []
    const event = base.newEvent(left, EV.READ, (_, what) => results.push(what)).add(60_000)
    event.activate(EV.CLOSED)
    expect(event.pending()).toBe(EV.READ | EV.CLOSED | EV.TIMEOUT)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(results).toEqual([EV.CLOSED])
    expect(event.pending()).toBe(0)
  })

  it('is undone by del()', () => {
    const base = openBase()
    const event = base.newEvent(-1, 0, never).activate(EV.READ).del()
    expect(event.pending()).toBe(0)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
  })

  it('calls once, however often it was called before', () => {
    const base = openBase()
    let count = 0
    const event = base.newEvent(-1, 0, () => (count += 1))
    for (let round = 0; round < 10; round += 1) event.activate(0, 5)
    base.dispatch()
    expect(count).toBe(1)
  })

  it('in its own callback takes effect in the next pass, and starves neither timers nor descriptors', () => {
    const base = openBase()
    const [left, right] = openPair()
    const fired = new Set<string>()
    base
      .newEvent(-1, 0, (_fd, _what, event) => {
        if (fired.size < 2) event.activate()
      })
      .activate()
    base.newTimer(() => fired.add('timer')).add(2)
    base.newEvent(left, EV.READ, () => fired.add('read')).add()
    writeText(right, 'x')
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect([...fired].toSorted()).toEqual(['read', 'timer'])
  })

  it('C-015: of two events by each other does not starve descriptors', () => {
    const base = openBase()
    const [left] = openPair()
    let calls = 0
    let writes = 0
    const first: Event = base.newEvent(-1, 0, () => {
      calls += 1
      second.activate()
    })
    const second: Event = base.newEvent(-1, 0, () => {
      calls += 1
      if (calls < 300) first.activate()
      else writer.del()
    })
    const writer = base.newEvent(left, EV.WRITE | EV.PERSIST, () => (writes += 1)).add()
    first.activate()
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(calls).toBeGreaterThanOrEqual(300)
    expect(writes).toBeGreaterThan(100)
  })
})

describe('runningEvent', () => {
  it('C-008: is the event whose callback runs, and its argument', () => {
    const base = openBase()
    const seen: unknown[] = []
    const event = base.newEvent(-1, 0, (_fd, _what, self) => seen.push(self, base.runningEvent)).activate()
    expect(base.runningEvent).toBeUndefined()
    base.dispatch()
    expect(seen).toEqual([event, event])
    expect(base.runningEvent).toBeUndefined()
  })
})

describe('priorities', () => {
  it('are dispatched in order, whatever was activated first', () => {
    const base = openBase(new EventConfig().setPriorities(3))
    const order: number[] = []
    for (const priority of [2, 0, 1, 2, 0, 1]) {
      base.newEvent(-1, 0, () => order.push(priority), { priority }).activate()
    }
    base.dispatch()
    expect(order).toEqual([0, 0, 1, 1, 2, 2])
  })

  it('C-022: an activation by a callback runs before less urgent events that are queued', () => {
    const base = openBase(new EventConfig().setPriorities(8))
    const order: string[] = []
    const urgent = base.newEvent(-1, 0, () => order.push('urgent'), { priority: 0 })
    const first = (): void => {
      order.push('first')
      urgent.activate()
    }
    base.newEvent(-1, 0, first, { priority: 4 }).activate()
    base.newEvent(-1, 0, () => order.push('second'), { priority: 4 }).activate()
    base.dispatch()
    expect(order).toEqual(['first', 'urgent', 'second'])
  })

  it.each([
    [1, 3, 3],
    [2, 3, 1],
    [3, 3, 0],
  ])('with %i of them, the first and the last fire %i and at most %i times', (count, high, low) => {
    const base = openBase(new EventConfig().setPriorities(count))
    const fired = { high: 0, low: 0 }
    const make = (name: 'high' | 'low', priority: number): Event =>
      base
        .newTimer(
          (_fd, _what, event) => {
            fired[name] += 1
            if (fired[name] === 3) base.loopExit()
            else event.add(0)
          },
          { priority },
        )
        .add(0)
    make('high', 0)
    make('low', count - 1)
    base.dispatch()
    expect(fired.high).toBe(high)
    expect(fired.low).toBeLessThanOrEqual(low)
  })

  it('can be changed while nothing is active, and events of a removed priority get the last', () => {
    const base = openBase(new EventConfig().setPriorities(5))
    const event = base.newTimer(() => {}, { priority: 4 }).add(0)
    expect(base.setPriorities(2).priorities).toBe(2)
    expect(event.priority).toBe(1)
    expect(base.events()[0]?.priority).toBe(1)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
  })

  it('cannot be changed while an event is active', () => {
    const base = openBase(new EventConfig().setPriorities(2))
    const event = base.newEvent(-1, 0, () => {}).activate()
    expect(() => base.setPriorities(3)).toThrow(expect.objectContaining({ code: 'ERR_EVENT_ACTIVE' }))
    expect(() => (event.priority = 0)).toThrow(expect.objectContaining({ code: 'ERR_EVENT_ACTIVE' }))
    expect([base.priorities, event.priority]).toEqual([2, 1])
    base.dispatch()
    expect(base.setPriorities(3).priorities).toBe(3)
    event.priority = 0
    expect(event.priority).toBe(0)
  })

  it('255 of them work', () => {
    const base = openBase(new EventConfig().setPriorities(255))
    const order: number[] = []
    for (let priority = 254; priority >= 0; priority -= 1) {
      base.newEvent(-1, 0, () => order.push(priority), { priority }).activate()
    }
    base.dispatch()
    expect(order).toEqual(Array.from({ length: 255 }, (_, index) => index))
  })
})

describe('freeing a base', () => {
  it('C-006: with events pending and active neither crashes nor calls them', () => {
    const base = openBase()
    const [left] = openPair()
    const pending = base.newEvent(left, EV.READ, never).add(5)
    const active = base.newEvent(-1, 0, never).activate(EV.READ)
    base.close()
    expect([pending.closed, active.closed]).toEqual([true, true])
  })

  it('leaves other bases alone', () => {
    const base = openBase()
    let fired = 0
    base.newEvent(-1, 0, () => (fired += 1)).activate()
    openBase().close()
    base.loop(LoopFlag.NONBLOCK)
    expect(fired).toBe(1)
    expect(base.countEvents(CountFlag.ACTIVE)).toBe(0)
  })
})
