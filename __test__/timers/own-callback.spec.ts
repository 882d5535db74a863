import { describe, expect, it } from 'vitest'

import { CountFlag, EV, type Event } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { refusal } from '../support/errors.js'

const ALL = CountFlag.ACTIVE | CountFlag.ADDED

describe('inside its own callback, a timer', () => {
  it('can be deleted', () => {
    const base = openBase()
    let count = 0
    const callback = (_fd: number, _what: number, event: Event): void => {
      count += 1
      event.del()
    }
    base.newTimer(callback, { persist: true }).add(1)
    base.newTimer(callback).add(1)
    expect(base.dispatch()).toBe(1)
    expect(count).toBe(2)
    expect(base.countEvents(ALL)).toBe(0)
  })

  it('can be added again', () => {
    const base = openBase()
    let count = 0
    const start = performance.now()
    base.newTimer((_fd, _what, event) => (count += 1) < 5 && event.add(2)).add(2)
    expect(base.dispatch()).toBe(1)
    expect(count).toBe(5)
    expect(performance.now() - start).toBeGreaterThanOrEqual(10)
  })

  it('can be added again with 0, and fires in the next pass', () => {
    const base = openBase()
    const order: string[] = []
    let count = 0
    base
      .newTimer((_fd, _what, event) => {
        order.push('again')
        if ((count += 1) < 3) event.add(0)
      })
      .add(0)
    base.newTimer(() => order.push('other')).add(0)
    expect(base.dispatch()).toBe(1)
    expect(order).toEqual(['again', 'other', 'again', 'again'])
  })

  it('can be closed', () => {
    const base = openBase()
    for (const persist of [false, true]) {
      const callback = (_fd: number, _what: number, event: Event): void => {
        event.close()
        event.close()
        expect(event.closed).toBe(true)
        expect(event.what).toBe(persist ? EV.PERSIST : 0)
        expect(refusal(() => event.add(1))).toBe('ERR_EVENT_CLOSED')
      }
      base.newTimer(callback, { persist }).add(1)
    }
    expect(base.dispatch()).toBe(1)
    expect(base.countEvents(ALL)).toBe(0)
  })

  it('can be made persistent only by another event', () => {
    const base = openBase()
    let count = 0
    const timer = base.newTimer((_fd, _what, event) => {
      expect(event.pending()).toBe(0)
      expect(event.what & EV.PERSIST).toBe(0)
      count += 1
    })
    timer.add(1)
    base.dispatch()
    base.dispatch()
    expect(count).toBe(1)
  })
})

describe('a callback that', () => {
  it.each(['close', 'del'] as const)('calls %s on another active event keeps it from firing', (how) => {
    const base = openBase()
    const victim = base.newTimer(never)
    const order: string[] = []
    base
      .newTimer(() => {
        order.push('first')
        victim[how]()
      })
      .add(0)
    victim.add(0)
    base.newTimer(() => order.push('third')).add(0)
    expect(base.dispatch()).toBe(1)
    expect(order).toEqual(['first', 'third'])
    expect(base.countEvents(ALL)).toBe(0)
  })

  it('closes the base ends the loop immediately, as a break does', () => {
    const base = openBase()
    base.newTimer(() => base.close()).add(0)
    base.newTimer(never).add(0)
    expect(base.dispatch()).toBe(0)
    expect(base.closed).toBe(true)
    expect(refusal(() => base.dispatch())).toBe('ERR_EVENT_CLOSED')
  })

  it('C-043: re-adds another one-shot event cannot keep both pending', () => {
    const base = openBase()
    const order: string[] = []
    const first: Event = base.newTimer(() => {
      order.push('first')
      second.add(60_000)
    })
    const second: Event = base.newTimer(() => {
      order.push('second')
      first.add(60_000)
    })
    first.add(0)
    second.add(0)
    base.loop(2)
    // The first callback sets a later deadline for the second timer, which cancels its expiry.
    expect(order).toEqual(['first'])
    expect([first.pending(), second.pending()]).toEqual([0, EV.TIMEOUT])
  })
})
