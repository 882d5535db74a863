import { describe, expect, it } from 'vitest'

import { BaseFlag, EventBase, EventConfig, Feature } from '../../index.js'
import { openBase } from '../support/base.js'
import { refusal } from '../support/errors.js'

const config = (): EventConfig => new EventConfig().setFlags(BaseFlag.IGNORE_ENV)
const isLinux = process.platform === 'linux'
const hasKqueue = EventBase.supportedMethods().includes('kqueue')

describe('backends', () => {
  it('C-001: at least one exists, and the first is the default', () => {
    const [first] = EventBase.supportedMethods()
    expect(first).toBeTypeOf('string')
    expect(openBase(config()).method).toBe(first)
  })

  it('C-001: avoiding the first selects another, or none if it is the only one', () => {
    const [first = '', ...others] = EventBase.supportedMethods()
    const avoiding = config().avoidMethod(first)
    if (others.length === 0) expect(refusal(() => avoiding.build())).toBe('ERR_EVENT_NO_METHOD')
    else expect(openBase(avoiding).method).not.toBe(first)
  })

  it('avoiding every backend leaves none', () => {
    const avoiding = config()
    for (const method of EventBase.supportedMethods()) avoiding.avoidMethod(method)
    expect(refusal(() => avoiding.build())).toBe('ERR_EVENT_NO_METHOD')
    expect(refusal(() => new EventBase(avoiding))).toBe('ERR_EVENT_NO_METHOD')
  })

  it('names are compared exactly, and unknown ones are accepted', () => {
    const [first = ''] = EventBase.supportedMethods()
    const avoiding = config().avoidMethod('devpoll').avoidMethod('').avoidMethod(first.toUpperCase())
    expect(openBase(avoiding).method).toBe(first)
  })

  it('C-003: a base built with a required feature has it', () => {
    expect(openBase(config().requireFeatures(Feature.ET)).features & Feature.ET).toBe(Feature.ET)
  })

  it.skipIf(hasKqueue)('features that no backend has together are refused', () => {
    const demanding = config().requireFeatures(Feature.ET | Feature.FDS)
    expect(refusal(() => demanding.build())).toBe('ERR_EVENT_NO_METHOD')
  })

  it.skipIf(hasKqueue)('requiring features replaces those required before', () => {
    const demanding = config().requireFeatures(Feature.ET | Feature.FDS)
    const base = openBase(demanding.requireFeatures(Feature.O1))
    expect(base.features & Feature.O1).toBe(Feature.O1)
    expect(openBase(demanding.requireFeatures(0)).method).toBe(base.method)
  })

  it.runIf(isLinux && !hasKqueue)('C-001: Linux has three, in this order', () => {
    const methods = EventBase.supportedMethods()
    expect(methods).toEqual(['epoll', 'poll', 'select'])
    const avoiding = config()
    for (const method of methods) {
      expect(openBase(avoiding).method).toBe(method)
      avoiding.avoidMethod(method)
    }
  })

  it.runIf(isLinux && !hasKqueue)('any kind of descriptor needs poll, or select', () => {
    const demanding = config().requireFeatures(Feature.FDS)
    expect(openBase(demanding).method).toBe('poll')
    expect(openBase(demanding.avoidMethod('poll')).features).toBe(Feature.FDS)
  })

  it.runIf(isLinux)('epoll with a list of changes is a flag of epoll', () => {
    const listing = config().setFlags(BaseFlag.EPOLL_USE_CHANGELIST)
    expect(openBase(listing).method).toBe('epoll (with changelist)')
    expect(openBase(listing.avoidMethod('epoll (with changelist)')).method).toBe('epoll (with changelist)')
    expect(openBase(listing.avoidMethod('epoll')).method).not.toContain('epoll')
  })

  it.runIf(EventBase.supportedMethods().includes('epoll'))(
    'epoll has the features it has in libevent',
    () => {
      expect(openBase(config()).features).toBe(Feature.ET | Feature.O1 | Feature.EARLY_CLOSE)
    },
  )
})
