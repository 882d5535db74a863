import { describe, expect, it } from 'vitest'

import { EV, LoopFlag, type Event } from '../../index.js'
import { socket } from '../../net.js'
import { openBase } from '../support/base.js'
import { openPair } from '../support/descriptors.js'

describe('many events', () => {
  it('C-052: that are ready all fire in one run', () => {
    const base = openBase()
    const fired = new Set<number>()
    for (let number = 0; number < 70; number += 1) {
      base.newEvent(openPair()[0], EV.WRITE, (fd) => fired.add(fd)).add()
    }
    base.loop(LoopFlag.NONBLOCK)
    expect(fired.size).toBe(70)
  })

  it('C-053: that are ready fire in each pass', () => {
    const base = openBase()
    const counts: number[] = []
    for (let number = 0; number < 70; number += 1) {
      counts.push(0)
      const callback = (): void => {
        counts[number] = (counts[number] ?? 0) + 1
      }
      base.newEvent(openPair()[0], EV.WRITE | EV.PERSIST, callback).add()
      base.loop(LoopFlag.NONBLOCK)
    }
    expect(counts).toEqual(Array.from({ length: 70 }, (_, number) => 70 - number))
  })
})

/** Moves `size` bytes from one end to the other with the given events, and returns what arrived. */
function transfer(persist: boolean, size: number, both: boolean): Buffer[] {
  const base = openBase()
  const [left, right] = openPair()
  const bits = persist ? EV.PERSIST : 0
  const content = Buffer.from(Array.from({ length: size }, (_, index) => (index * 31) & 0xff))
  const arrived: Buffer[] = []
  const send = (fd: number): void => {
    let sent = 0
    const callback = (_fd: number, _what: number, event: Event): void => {
      sent += Math.max(0, socket.write(fd, content, sent, Math.min(128, size - sent)))
      if (sent < size) event.add()
      else event.del()
    }
    base.newEvent(fd, EV.WRITE | bits, callback).add()
  }
  const receive = (fd: number): void => {
    const buffer = Buffer.alloc(size + 1)
    let received = 0
    arrived.push(buffer.subarray(0, size))
    const callback = (_fd: number, _what: number, event: Event): void => {
      received += Math.max(0, socket.read(fd, buffer, received, Math.min(100, size + 1 - received)))
      if (received < size) event.add()
      else event.del()
    }
    base.newEvent(fd, EV.READ | bits, callback).add()
  }
  send(left)
  receive(right)
  if (both) {
    send(right)
    receive(left)
  }
  expect(base.dispatch()).toBe(1)
  for (const buffer of arrived) expect(buffer.equals(content)).toBe(true)
  return arrived
}

describe('bytes arrive unchanged', () => {
  it('C-036: by events that are added again each time', () => {
    expect(transfer(false, 4096, false)).toHaveLength(1)
  })

  it('C-037: by persistent events', () => {
    expect(transfer(true, 4096, false)).toHaveLength(1)
  })

  it('C-038: by events for both directions on both ends', () => {
    expect(transfer(true, 8192, true)).toHaveLength(2)
    expect(transfer(false, 4096, true)).toHaveLength(2)
  })
})
