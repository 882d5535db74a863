import { describe, expect, it } from 'vitest'

import { EventBase } from '../../index.js'
import { BufferEvent, BufferEventGroup, listen, RateGroup, relay, socket } from '../../net.js'
import { never, openBase } from '../support/base.js'
import { openPair } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'

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

  const others: [string, (base: EventBase) => Disposable & { readonly closed: boolean }][] = [
    ['a prepare watcher', (base) => base.onPrepare(never)],
    ['a check watcher', (base) => base.onCheck(never)],
    ['a listener', (base) => listen(base, { host: '127.0.0.1', port: 0 }, never)],
    ['a relay', (base) => relay(base, ...socket.pair())],
    ['a rate group', (base) => new RateGroup(base, { rate: 1 })],
    ['a buffer event', (base) => new BufferEvent(base, openPair()[0], { closeOnFree: false })],
  ]

  it.each(others)('closes %s, and leaves its base open', (_what, make) => {
    const base = openBase()
    const made = make(base)
    expect(made.closed).toBe(false)
    {
      using scoped = made
      expect(scoped).toBe(made)
    }
    expect(made.closed).toBe(true)
    expect(base.closed).toBe(false)
  })

  it('removes the members of a buffer event group', () => {
    const base = openBase()
    const member = new BufferEvent(base, openPair()[0], { closeOnFree: false })
    const outside = new BufferEventGroup(base, { rate: 1 })
    {
      using group = outside
      member.joinGroup(group)
      expect([group.base, group.size]).toEqual([base, 1])
    }
    expect(outside.size).toBe(0)
  })

  it('closes the handle to a base of another thread, and leaves the base open', () => {
    const base = openBase()
    const outside = EventBase.connect(base.share())
    {
      using remote = outside
      remote.loopExit()
    }
    expect(refusal(() => outside.loopExit())).toBe('ERR_EVENT_CLOSED')
    expect(base.closed).toBe(false)
  })
})
