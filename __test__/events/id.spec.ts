import { describe, expect, it } from 'vitest'

import { EV } from '../../index.js'
import { openBase } from '../support/base.js'

describe('an id', () => {
  it('is a safe integer that stays the same', () => {
    const base = openBase()
    const event = base.newTimer(() => {})
    const { id } = event
    expect(Number.isSafeInteger(id)).toBe(true)
    event.add(0)
    base.dispatch()
    event.activate().del()
    expect(event.id).toBe(id)
  })

  it('is unique among all events its base ever had', () => {
    const base = openBase()
    const ids = new Set<number>()
    for (let round = 0; round < 1000; round += 1) {
      const event = base.newTimer(() => {})
      ids.add(event.id)
      event.close()
    }
    expect(ids.size).toBe(1000)
  })

  it('does not keep an event from firing repeatedly', () => {
    const base = openBase()
    const results: number[] = []
    const event = base.newTimer((_, what) => results.push(what))
    expect(event.id).toBeGreaterThanOrEqual(0)
    for (let round = 0; round < 3; round += 1) {
      event.add(0)
      base.dispatch()
    }
    event.activate(EV.READ)
    base.dispatch()
    expect(results).toEqual([EV.TIMEOUT, EV.TIMEOUT, EV.TIMEOUT, EV.READ])
    expect(event.pending()).toBe(0)
  })
})
