import { describe, expect, it } from 'vitest'

import { LoopResult, type Event } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { refusal } from '../support/errors.js'

describe('finalize()', () => {
  it.each([
    ['idle', (event: Event) => event],
    ['pending', (event: Event) => event.add(60_000)],
    ['active', (event: Event) => event.activate()],
    ['named', (event: Event) => (event.id, event)],
  ])('C-082: runs the finalizer, and it alone, of an event that is %s', (_, prepare) => {
    const base = openBase()
    const finalized: unknown[] = []
    const event = prepare(base.newTimer(never))
    expect(event.finalize((self) => finalized.push(self))).toBe(event)
    expect(finalized).toEqual([])
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(finalized).toEqual([event])
    expect(event.closed).toBe(true)
    expect(refusal(() => event.add(1))).toBe('ERR_EVENT_CLOSED')
    expect(base.countEvents(7)).toBe(0)
  })

  it('C-082: prevents adding and activating the event meanwhile', () => {
    const base = openBase()
    let finalized = 0
    const event = base.newTimer(never).finalize(() => (finalized += 1))
    expect(refusal(() => event.add(1))).toBe('ERR_EVENT_FINALIZING')
    event.activate()
    event.del()
    event.close()
    expect(event.closed).toBe(false)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(finalized).toBe(1)
    expect(event.closed).toBe(true)
  })

  it('runs after events that were queued before', () => {
    const base = openBase()
    const order: string[] = []
    base.newTimer(() => order.push('queued')).activate()
    base.newTimer(never).finalize(() => order.push('finalizer'))
    base.dispatch()
    expect(order).toEqual(['queued', 'finalizer'])
  })

  it('C-084: inside a callback finalizes the event itself and another active one, which does not fire', () => {
    for (const persist of [false, true]) {
      const base = openBase()
      const order: string[] = []
      const other = base.newTimer(never, { persist })
      base
        .newTimer(
          (_fd, _what, event) => {
            order.push('callback')
            event.finalize(() => order.push('own'))
            other.finalize(() => order.push('other'))
          },
          { persist },
        )
        .add(0)
      other.add(0)
      expect(base.dispatch()).toBe(LoopResult.EMPTY)
      expect(order[0]).toBe('callback')
      expect(order.slice(1).toSorted()).toEqual(['other', 'own'])
    }
  })

  it('called twice runs the later finalizer only', () => {
    const base = openBase()
    const order: string[] = []
    const event = base.newTimer(never)
    event.finalize(() => order.push('earlier')).finalize(() => order.push('later'))
    base.dispatch()
    expect(order).toEqual(['later'])
  })

  it('called again without a callback runs none', () => {
    const base = openBase()
    const event = base.newTimer(never)
    event.finalize(never).finalize()
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(event.closed).toBe(true)
  })

  it('without a callback closes the event in the loop', () => {
    const base = openBase()
    const event = base.newTimer(never).finalize()
    expect(event.closed).toBe(false)
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(event.closed).toBe(true)
  })
})
