import { closeSync, openSync } from 'node:fs'
import { constants } from 'node:os'

import { describe, expect, it, onTestFinished } from 'vitest'

import { EV, EventBase } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { close, readText, openPair, openPairAt, writeText } from '../support/descriptors.js'
import { asSystemError, thrownBy } from '../support/errors.js'

const { EPERM, EBADF } = constants.errno
const isEpoll = EventBase.supportedMethods()[0] === 'epoll'

function openFile(): number {
  const fd = openSync(import.meta.filename, 'r')
  onTestFinished(() => closeSync(fd))
  return fd
}

describe.runIf(isEpoll)('a regular file', () => {
  it('is refused by add() with EPERM, in the form of an error of Node', () => {
    const base = openBase()
    const fd = openFile()
    const event = base.newEvent(fd, EV.READ, never)
    const error = asSystemError(thrownBy(() => event.add(5)))
    const { code, errno, syscall, message } = error
    expect({ code, errno, syscall, fd: error.fd }).toEqual({
      code: 'EPERM',
      errno: -EPERM,
      syscall: 'epoll_ctl',
      fd,
    })
    for (const part of ['EPERM', 'epoll_ctl', String(fd)]) expect(message).toContain(part)
    expect(error.name).toBe('Error')
  })

  it('that was refused leaves nothing behind, including the timer', () => {
    const base = openBase()
    const event = base.newEvent(openFile(), EV.READ, never)
    thrownBy(() => event.add(5))
    expect(event.pending()).toBe(0)
    expect(event.expiresAt).toBeUndefined()
    expect(base.countEvents(7)).toBe(0)
    expect(base.events()).toEqual([])
    expect(base.dispatch()).toBe(1)
  })

  it('is refused by once() too', () => {
    const base = openBase()
    const fd = openFile()
    const error = asSystemError(thrownBy(() => base.once(fd, EV.READ, never, 5)))
    expect([error.code, error.fd]).toEqual(['EPERM', fd])
    expect(base.countEvents(7)).toBe(0)
    expect(base.dispatch()).toBe(1)
  })

  it('is refused repeatedly', () => {
    const base = openBase()
    const event = base.newEvent(openFile(), EV.READ, never)
    for (let round = 0; round < 3; round += 1) {
      expect(asSystemError(thrownBy(() => event.add())).code).toBe('EPERM')
    }
  })
})

describe('a descriptor that is not open', () => {
  it('is refused with EBADF', () => {
    const base = openBase()
    const [left] = openPair()
    close(left)
    const event = base.newEvent(left, EV.READ, never)
    const error = asSystemError(thrownBy(() => event.add()))
    expect([error.code, error.errno, error.fd]).toEqual(['EBADF', -EBADF, left])
    expect(base.countEvents(7)).toBe(0)
  })

  it('is accepted once it is open', () => {
    const base = openBase()
    const [left] = openPair()
    close(left)
    const results: unknown[] = []
    const event = base.newEvent(left, EV.READ, (fd) => results.push(readText(fd)))
    thrownBy(() => event.add())
    const [, peer] = openPairAt(left)
    event.add()
    writeText(peer, 'here')
    expect(base.dispatch()).toBe(1)
    expect(results).toEqual(['here'])
  })
})
