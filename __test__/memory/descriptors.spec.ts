import { describe, expect, it } from 'vitest'

import { EV, EventBase, EventConfig, LoopFlag } from '../../index.js'
import { openPair } from '../support/descriptors.js'
import { until } from '../support/base.js'
import { refusal } from '../support/errors.js'
import { openDescriptors } from '../../scripts/lib/system.mjs'

describe('descriptors', () => {
  it('are all closed after ten thousand bases', () => {
    const [left] = openPair()
    const before = openDescriptors()
    for (let count = 0; count < 10_000; count += 1) {
      const base = new EventBase()
      base.newEvent(left, EV.READ, () => {}).add(1000)
      base.loop(LoopFlag.NONBLOCK)
      base.close()
    }
    expect(openDescriptors()).toBe(before)
  })

  it('are closed after runs, however they ended', async () => {
    const before = openDescriptors()
    for (let round = 0; round < 30; round += 1) {
      const base = new EventBase()
      base.newTimer(() => {}).add(round % 3 === 0 ? 0 : 60_000)
      const running = base.run()
      if (round % 3 === 1) base.loopBreak()
      if (round % 3 === 2) base.close()
      await running
      base.close()
    }
    // The host closes its own handles in later iterations of its loop.
    await until(() => openDescriptors() <= before, 'every descriptor to be closed')
  })

  it('are not opened by a base that is refused', () => {
    const config = new EventConfig()
    for (const method of EventBase.supportedMethods()) config.avoidMethod(method)
    const before = openDescriptors()
    for (let count = 0; count < 100; count += 1)
      expect(refusal(() => config.build())).toBe('ERR_EVENT_NO_METHOD')
    expect(openDescriptors()).toBe(before)
  })
})
