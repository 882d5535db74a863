import { describe, expect, it } from 'vitest'

import { EV, LoopFlag, type EventCallback } from '../../index.js'
import { openBase } from '../support/base.js'
import { openPair } from '../support/descriptors.js'

describe('activateByFd()', () => {
  it('C-062: activates the events of the descriptor with one of the bits as an interest', () => {
    const base = openBase()
    const [left, right] = openPair()
    const results: [string, number][] = []
    const note =
      (name: string): EventCallback =>
      (_fd, what) =>
        void results.push([name, what])
    base.newEvent(left, EV.READ | EV.PERSIST, note('left')).add(60_000)
    base.newEvent(right, EV.READ | EV.PERSIST, note('right')).add()
    base.newTimer(note('timer')).add(60_000)
    base.newEvent(left, EV.READ, note('idle'))

    base.activateByFd(left, EV.READ)
    base.loop(LoopFlag.NONBLOCK)
    expect(results.splice(0)).toEqual([['left', EV.READ]])

    base.activateByFd(left, EV.TIMEOUT).activateByFd(left, EV.READ)
    base.loop(LoopFlag.NONBLOCK)
    expect(results.splice(0)).toEqual([['left', EV.READ | EV.TIMEOUT]])

    base.activateByFd(left, EV.WRITE).activateByFd(right, EV.TIMEOUT)
    base.loop(LoopFlag.NONBLOCK)
    expect(results.splice(0)).toEqual([])
  })

  it('C-062: with -1 and TIMEOUT activates every pure timer', () => {
    const base = openBase()
    const [left] = openPair()
    const fired: string[] = []
    base.newEvent(left, EV.READ, () => fired.push('read')).add(60_000)
    base.newTimer(() => fired.push('first')).add(60_000)
    base.newTimer(() => fired.push('second')).add(60_000)
    base.activateByFd(-1, EV.TIMEOUT).loop(LoopFlag.NONBLOCK)
    expect(fired).toEqual(['first', 'second'])
  })

  it('C-062: does nothing for a descriptor without events', () => {
    const base = openBase()
    expect(base.activateByFd(1000, EV.READ | EV.WRITE)).toBe(base)
    base.activateByFd(-1, EV.READ).activateByFd(0x7fff_ffff, EV.TIMEOUT)
    expect(base.countEvents(7)).toBe(0)
  })
})
