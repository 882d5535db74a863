import { describe, expect, it } from 'vitest'

import { EV, EventConfig, type Event } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { openPair } from '../support/descriptors.js'

const name = (event: Event): string => `  0x${event.id.toString(16)}`

/** A deadline as the dump shows it: seconds, to the microsecond. */
const DEADLINE = / Timeout=(\d+\.\d{6})$/

describe('dump()', () => {
  it('C-114: shows pending and active events in libevent’s format', () => {
    const base = openBase(new EventConfig().setPriorities(2))
    const [left, right] = openPair()
    const both = base.newEvent(left, EV.READ | EV.WRITE | EV.PERSIST | EV.ET, never).add()
    const read = base
      .newEvent(right, EV.READ, never, { priority: 0 })
      .add(5000)
      .activate(EV.READ | EV.WRITE)
    const user = base.newEvent(-1, 0, never).activate()
    base.newTimer(never)
    const lines = base.dump().split('\n')
    const deadline = DEADLINE.exec(lines[2] ?? '')?.[1]
    expect(Math.abs(Number(deadline) - (base.now() + 5000) / 1000)).toBeLessThan(2)
    lines[2] = lines[2]?.replace(DEADLINE, '') ?? ''
    expect(lines).toEqual([
      'Inserted events:',
      `${name(both)} [fd  ${left}] Read Write Persist ET`,
      `${name(read)} [fd  ${right}] Read`,
      'Active events:',
      `${name(read)} [fd  ${right}, priority=0] Read Write active`,
      `${name(user)} [fd  -1, priority=1] active`,
      '',
    ])
  })

  it('of a base without events is two headings', () => {
    expect(openBase().dump()).toBe('Inserted events:\nActive events:\n')
  })
})
