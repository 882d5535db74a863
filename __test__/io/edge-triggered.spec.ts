import { describe, expect, it } from 'vitest'

import { EV, LoopFlag } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { readText, openPair, writeText } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'

describe('edge-triggered', () => {
  it('C-079: an event fires once for each change with ET, and as long as it is ready without', () => {
    for (const bits of [EV.ET, 0]) {
      const base = openBase()
      const [left, right] = openPair()
      const results: number[] = []
      base.newEvent(left, EV.READ | EV.PERSIST | bits, (_, what) => results.push(what)).add()
      writeText(right, 'x')
      for (let pass = 0; pass < 3; pass += 1) base.loop(LoopFlag.NONBLOCK)
      expect(results).toEqual(bits ? [EV.READ | EV.ET] : [EV.READ, EV.READ, EV.READ])
    }
  })

  it('an event fires again when more data arrives, whether or not the first was read', () => {
    const base = openBase()
    const [left, right] = openPair()
    let count = 0
    base.newEvent(left, EV.READ | EV.PERSIST | EV.ET, () => (count += 1)).add()
    for (let round = 1; round <= 3; round += 1) {
      writeText(right, 'x')
      base.loop(LoopFlag.NONBLOCK)
      base.loop(LoopFlag.NONBLOCK)
      expect(count).toBe(round)
    }
    expect(readText(left)).toBe('xxx')
  })

  it('C-080: and level-triggered do not mix on one descriptor; the first stays pending', () => {
    for (const [first, second] of [
      [EV.ET, 0],
      [0, EV.ET],
    ] as const) {
      const base = openBase()
      const [left, right] = openPair()
      const results: number[] = []
      const event = base.newEvent(left, EV.READ | first, (_, what) => results.push(what)).add()
      const other = base.newEvent(left, EV.READ | second, never)
      expect(refusal(() => other.add())).toBe('ERR_EVENT_BAD_FLAGS')
      expect(refusal(() => other.add(5))).toBe('ERR_EVENT_BAD_FLAGS')
      expect([event.pending(), other.pending()]).toEqual([EV.READ, 0])
      writeText(right, 'x')
      expect(base.dispatch()).toBe(1)
      expect(results).toEqual([EV.READ | first])
      // Once the first event is no longer pending, the other can be added.
      expect(other.add().pending()).toBe(EV.READ)
    }
  })

  it('C-081: a reader and a writer each fire once, and the writer stays so without the reader', () => {
    const base = openBase()
    const [left, right] = openPair()
    const fired: string[] = []
    const bits = EV.PERSIST | EV.ET
    const reader = base.newEvent(left, EV.READ | bits, () => fired.push('read')).add()
    const writer = base.newEvent(left, EV.WRITE | bits, () => fired.push('write')).add()
    writeText(right, 'x')
    base.loop(LoopFlag.NONBLOCK)
    expect(fired.toSorted()).toEqual(['read', 'write'])
    base.loop(LoopFlag.NONBLOCK)
    expect(fired).toHaveLength(2)
    reader.del()
    base.loop(LoopFlag.NONBLOCK)
    const afterDeletion = fired.length
    // The kernel may report a changed interest once more, but not in every pass.
    for (let pass = 0; pass < 3; pass += 1) base.loop(LoopFlag.NONBLOCK)
    expect(fired).toHaveLength(afterDeletion)
    expect(writer.pending()).toBe(EV.WRITE)
  })
})
