import { describe, expect, it } from 'vitest'

import { EV, EventConfig, type DispatchInterval } from '../../index.js'
import { openBase, stall } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'

/**
 * Runs four events of priority 1, the first of which makes a descriptor readable that an event of priority 0
 * waits for; returns the order in which they ran.
 */
function order(limits: DispatchInterval, duration = 0): string[] {
  const base = openBase(new EventConfig().setPriorities(2).setMaxDispatchInterval(limits))
  const [left, right] = openPair()
  const ran: string[] = []
  base.newEvent(left, EV.READ, () => ran.push('read'), { priority: 0 }).add()
  for (let number = 1; number <= 4; number += 1) {
    const callback = (): void => {
      ran.push(`${number}`)
      if (number === 1) writeText(right, 'x')
      stall(duration)
    }
    base.newEvent(-1, 0, callback, { priority: 1 }).activate()
  }
  base.dispatch()
  return ran
}

describe('setMaxDispatchInterval', () => {
  it('without limits, a pass runs to its end before the backend is polled', () => {
    expect(order({})).toEqual(['1', '2', '3', '4', 'read'])
  })

  it('polls again after a number of callbacks', () => {
    expect(order({ callbacks: 2 })).toEqual(['1', '2', 'read', '3', '4'])
  })

  it('with a limit of 0 callbacks polls after each', () => {
    expect(order({ callbacks: 0 })).toEqual(['1', 'read', '2', '3', '4'])
  })

  it('polls again after a time', () => {
    expect(order({ interval: 1 }, 2)).toEqual(['1', 'read', '2', '3', '4'])
  })

  it('does not apply to priorities more urgent than minPriority', () => {
    expect(order({ callbacks: 1, minPriority: 2 })).toEqual(['1', '2', '3', '4', 'read'])
  })
})
