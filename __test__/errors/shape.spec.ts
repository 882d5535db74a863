import { getSystemErrorName } from 'node:util'

import { describe, expect, it } from 'vitest'

import { EV, EventError } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { asSystemError, thrownBy } from '../support/errors.js'

describe('a refusal', () => {
  it('is an EventError with a code and a text', () => {
    const base = openBase()
    base.close()
    const error = thrownBy(() => base.dispatch())
    expect(error).toBeInstanceOf(EventError)
    expect(error).toBeInstanceOf(Error)
    const { name, code, message, stack } = error as EventError
    expect({ name, code }).toEqual({ name: 'EventError', code: 'ERR_EVENT_CLOSED' })
    expect(message).not.toBe('')
    expect(stack).toContain('EventError: ')
  })

  it('has the same shape when the engine refuses', () => {
    const base = openBase()
    const event = base.newTimer(() => {}).activate()
    const error = thrownBy(() => (event.priority = 0)) as EventError
    expect(error).toBeInstanceOf(EventError)
    expect({ name: error.name, code: error.code }).toEqual({ name: 'EventError', code: 'ERR_EVENT_ACTIVE' })
    expect(error.message).not.toBe('')
    expect(error.stack).toContain(import.meta.filename)
  })

  it('shows no property but its code', () => {
    const error = thrownBy(() => openBase().newTimer(undefined as never)) as EventError
    expect(Object.keys(error)).toEqual(['code'])
    expect(error.message).toContain('"callback"')
    expect(error.message).toContain('undefined')
  })
})

describe('a failed system call', () => {
  it("is an Error with Node's properties", () => {
    const error = asSystemError(thrownBy(() => openBase().newEvent(0x7fff_fff0, EV.READ, never).add()))
    expect(error.name).toBe('Error')
    expect(Object.keys(error).toSorted()).toEqual(['code', 'errno', 'fd', 'syscall'])
    expect(getSystemErrorName(error.errno)).toBe(error.code)
    expect([error.code, error.fd]).toEqual(['EBADF', 0x7fff_fff0])
    expect(error.message).toContain(error.code)
    expect(error.message).toContain(error.syscall)
    expect(error.message).toContain(String(error.fd))
  })
})
