import { afterEach, describe, expect, it } from 'vitest'

import { BaseFlag, EventBase, EventConfig } from '../../index.js'
import { openBase } from '../support/base.js'
import { refusal } from '../support/errors.js'

const methods = EventBase.supportedMethods()
const variable = (method: string): string => `EVENT_NO${method.toUpperCase()}`

afterEach(() => {
  for (const method of methods) delete process.env[variable(method)]
  delete process.env['EVENT_EPOLL_USE_CHANGELIST']
})

describe('EVENT_NO<METHOD>', () => {
  it('C-004: excludes the backend, whatever its value', () => {
    const [first = '', ...others] = methods
    process.env[variable(first)] = ''
    if (others.length === 0) expect(refusal(() => new EventBase())).toBe('ERR_EVENT_NO_METHOD')
    else expect(openBase().method).not.toBe(first)
  })

  it('leaves no backend when it is set for every one', () => {
    for (const method of methods) process.env[variable(method)] = '1'
    expect(refusal(() => new EventConfig().build())).toBe('ERR_EVENT_NO_METHOD')
  })

  it('C-004: is not read with IGNORE_ENV', () => {
    for (const method of methods) process.env[variable(method)] = '1'
    expect(openBase(new EventConfig().setFlags(BaseFlag.IGNORE_ENV)).method).toBe(methods[0])
  })

  it('is read when a base is built, not when the configuration is made', () => {
    const config = new EventConfig()
    for (const method of methods) process.env[variable(method)] = '1'
    expect(refusal(() => config.build())).toBe('ERR_EVENT_NO_METHOD')
    for (const method of methods) delete process.env[variable(method)]
    expect(openBase(config).method).toBe(methods[0])
  })

  it.runIf(methods.includes('epoll'))('C-004: EVENT_EPOLL_USE_CHANGELIST is obeyed as the flag is', () => {
    process.env['EVENT_EPOLL_USE_CHANGELIST'] = ''
    expect(openBase().method).toBe('epoll (with changelist)')
    expect(openBase(new EventConfig().setFlags(BaseFlag.IGNORE_ENV)).method).toBe('epoll')
    expect(openBase(new EventConfig().avoidMethod('epoll')).method).not.toContain('epoll')
  })

  it('of an unknown backend has no effect', () => {
    process.env['EVENT_NODEVPOLL'] = '1'
    expect(openBase().method).toBe(methods[0])
    delete process.env['EVENT_NODEVPOLL']
  })
})
