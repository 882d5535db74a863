import { describe, expect, it } from 'vitest'

import { EventBase } from '../../index.js'
import { never, openBase } from '../support/base.js'

describe('using', () => {
  it('closes a base', () => {
    let outside: EventBase | undefined
    {
      using base = new EventBase()
      outside = base
      expect(base.closed).toBe(false)
    }
    expect(outside.closed).toBe(true)
  })

  it('closes an event, and leaves its base open', () => {
    const base = openBase()
    {
      using event = base.newTimer(never).add(1)
      expect(event.closed).toBe(false)
    }
    expect(base.countEvents(4)).toBe(0)
    expect(base.dispatch()).toBe(1)
  })
})
