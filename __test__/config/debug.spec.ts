import { afterEach, describe, expect, it } from 'vitest'

import { BaseFlag, EV, type EventBase, EventConfig, LoopResult } from '../../index.js'
import { socket } from '../../net.js'
import { openBase, never } from '../support/base.js'
import { openPair } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'

/** The result of adding a socket in blocking mode: 'added', or the code of the refusal. */
function addBlocking(base: EventBase): string {
  const [left] = openPair()
  socket.setNonblocking(left, false)
  const event = base.newEvent(left, EV.READ, never)
  try {
    event.add()
  } catch {
    return refusal(() => event.add())
  } finally {
    event.close()
  }
  return 'added'
}

afterEach(() => {
  delete process.env['EVENT_DEBUG_MODE']
})

describe('debug mode', () => {
  it('refuses a socket in blocking mode, and accepts it in nonblocking mode', () => {
    const base = openBase(new EventConfig().debug())
    expect(addBlocking(base)).toBe('ERR_EVENT_BLOCKING')
    const [left] = openPair()
    socket.setNonblocking(left, false)
    const event = base.newEvent(left, EV.WRITE, () => {})
    expect(refusal(() => event.add(1))).toBe('ERR_EVENT_BLOCKING')
    expect(event.pending()).toBe(0)
    socket.setNonblocking(left, true)
    event.add()
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
  })

  it('is off by default', () => {
    expect(addBlocking(openBase(new EventConfig().setFlags(BaseFlag.IGNORE_ENV)))).toBe('added')
    expect(addBlocking(openBase(new EventConfig().debug(false).setFlags(BaseFlag.IGNORE_ENV)))).toBe('added')
  })

  it('is not switched on by EVENT_DEBUG_MODE, which libevent reads in its tests only', () => {
    process.env['EVENT_DEBUG_MODE'] = '1'
    expect(addBlocking(openBase())).toBe('added')
  })

  it.each(['loop', 'run'] as const)('changes nothing else under %s()', async (way) => {
    const base = openBase(new EventConfig().debug())
    const [left] = openPair()
    const fired: string[] = []
    base.newEvent(left, EV.WRITE, () => fired.push('write')).add()
    base.newTimer(() => fired.push('timer')).add(5)
    base.newEvent(-1, 0, (_fd, _what, event) => event.finalize(() => fired.push('finalizer'))).activate()
    expect(await base[way]()).toBe(LoopResult.EMPTY)
    expect(fired.toSorted()).toEqual(['finalizer', 'timer', 'write'])
  })

  it('takes a boolean', () => {
    expect(refusal(() => new EventConfig().debug(1 as never))).toBe('ERR_INVALID_ARG_TYPE')
  })
})
