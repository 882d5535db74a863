import { afterEach, describe, expect, it } from 'vitest'

import { BaseFlag, EventConfig } from '../../index.js'
import { openBase } from '../support/base.js'

/** The number of different times that 2000 calls in a row return. */
function timesShown(config: EventConfig): number {
  const base = openBase(config)
  return new Set(Array.from({ length: 2000 }, () => base.monotonic())).size
}

afterEach(() => {
  delete process.env['EVENT_PRECISE_TIMER']
})

describe.skipIf(process.platform !== 'linux')('useCoarseClock()', () => {
  it('returns the time of the last tick', () => {
    expect(timesShown(new EventConfig())).toBeGreaterThan(1000)
    expect(timesShown(new EventConfig().useCoarseClock())).toBeLessThan(500)
  })

  it('has no effect with PRECISE_TIMER', () => {
    const config = new EventConfig().useCoarseClock().setFlags(BaseFlag.PRECISE_TIMER)
    expect(timesShown(config)).toBeGreaterThan(1000)
  })

  it('has no effect with EVENT_PRECISE_TIMER, unless the environment is ignored', () => {
    process.env['EVENT_PRECISE_TIMER'] = ''
    const config = new EventConfig().useCoarseClock()
    expect(timesShown(config)).toBeGreaterThan(1000)
    expect(timesShown(config.setFlags(BaseFlag.IGNORE_ENV))).toBeLessThan(500)
  })

  it('fires no timer early by that clock, under loop() and run()', async () => {
    const base = openBase(new EventConfig().useCoarseClock())
    for (const wait of [0.5, 3, 10]) {
      const late: number[] = []
      const start = base.monotonic()
      const timer = base.newTimer(() => late.push(base.monotonic() - start - wait))
      timer.add(wait)
      base.dispatch()
      const again = base.monotonic()
      base.newTimer(() => late.push(base.monotonic() - again - wait)).add(wait)
      await base.run()
      expect(late).toHaveLength(2)
      // A number of milliseconds since the machine was started, minus another.
      expect(Math.min(...late)).toBeGreaterThan(-0.001)
    }
  })
})
