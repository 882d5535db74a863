import { describe, expect, it } from 'vitest'

import { EventBase, EventConfig } from '../../index.js'
import { openBase } from '../support/base.js'
import { refusal } from '../support/errors.js'

const wrong = (value: unknown): never => value as never

const refused: readonly (readonly [what: string, call: (config: EventConfig) => unknown, code: string])[] = [
  ['avoidMethod(1)', (config) => config.avoidMethod(wrong(1)), 'ERR_INVALID_ARG_TYPE'],
  ['avoidMethod()', (config) => config.avoidMethod(wrong(undefined)), 'ERR_INVALID_ARG_TYPE'],
  ['requireFeatures("1")', (config) => config.requireFeatures(wrong('1')), 'ERR_INVALID_ARG_TYPE'],
  ['requireFeatures(0.5)', (config) => config.requireFeatures(0.5), 'ERR_OUT_OF_RANGE'],
  ['requireFeatures(-1)', (config) => config.requireFeatures(-1), 'ERR_OUT_OF_RANGE'],
  ['requireFeatures(NaN)', (config) => config.requireFeatures(NaN), 'ERR_OUT_OF_RANGE'],
  ['requireFeatures(0x10)', (config) => config.requireFeatures(0x10), 'ERR_EVENT_BAD_FLAGS'],
  ['setFlags(null)', (config) => config.setFlags(wrong(null)), 'ERR_INVALID_ARG_TYPE'],
  ['setFlags(2 ** 32)', (config) => config.setFlags(2 ** 32), 'ERR_OUT_OF_RANGE'],
  ['setFlags(0x100)', (config) => config.setFlags(0x100), 'ERR_EVENT_BAD_FLAGS'],
  ['setPriorities(0)', (config) => config.setPriorities(0), 'ERR_OUT_OF_RANGE'],
  ['setPriorities(256)', (config) => config.setPriorities(256), 'ERR_OUT_OF_RANGE'],
  ['setPriorities(1.5)', (config) => config.setPriorities(1.5), 'ERR_OUT_OF_RANGE'],
  ['setPriorities("3")', (config) => config.setPriorities(wrong('3')), 'ERR_INVALID_ARG_TYPE'],
  ['setNumCpusHint(-1)', (config) => config.setNumCpusHint(-1), 'ERR_OUT_OF_RANGE'],
  ['setNumCpusHint({})', (config) => config.setNumCpusHint(wrong({})), 'ERR_INVALID_ARG_TYPE'],
  [
    'setMaxDispatchInterval(null)',
    (config) => config.setMaxDispatchInterval(wrong(null)),
    'ERR_INVALID_ARG_TYPE',
  ],
  ['an interval of -1', (config) => config.setMaxDispatchInterval({ interval: -1 }), 'ERR_OUT_OF_RANGE'],
  [
    'an interval of "1"',
    (config) => config.setMaxDispatchInterval({ interval: wrong('1') }),
    'ERR_INVALID_ARG_TYPE',
  ],
  ['half a callback', (config) => config.setMaxDispatchInterval({ callbacks: 0.5 }), 'ERR_OUT_OF_RANGE'],
  ['a priority of 256', (config) => config.setMaxDispatchInterval({ minPriority: 256 }), 'ERR_OUT_OF_RANGE'],
]

describe('EventConfig', () => {
  it.each(refused)('refuses %s', (_, call, code) => {
    const config = new EventConfig()
    expect(refusal(() => call(config))).toBe(code)
    // A refused call changes nothing: the configuration still builds.
    expect(openBase(config).priorities).toBe(1)
  })

  it('can be used for any number of bases', () => {
    const config = new EventConfig().setPriorities(4)
    const first = openBase(config)
    first.close()
    expect(openBase(config).priorities).toBe(4)
    expect(openBase(config).priorities).toBe(4)
  })

  it('that changes does not change the bases built before', () => {
    const config = new EventConfig().setPriorities(4)
    const base = openBase(config)
    config.setPriorities(2)
    expect(base.priorities).toBe(4)
    expect(openBase(config).priorities).toBe(2)
  })

  it('accepts hints and flags that have no effect here', () => {
    expect(openBase(new EventConfig().setNumCpusHint(4).setFlags(0x64)).method).toBe(
      EventBase.supportedMethods()[0],
    )
  })

  it('returns itself from each method', () => {
    const config = new EventConfig()
    expect(config.avoidMethod('poll')).toBe(config)
    expect(config.requireFeatures(0)).toBe(config)
    expect(config.setFlags(0)).toBe(config)
    expect(config.setMaxDispatchInterval({})).toBe(config)
    expect(config.setPriorities(1)).toBe(config)
    expect(config.setNumCpusHint(0)).toBe(config)
  })
})

describe('new EventBase()', () => {
  it.each([null, {}, 3, 'epoll', EventConfig])('refuses %s in place of a configuration', (value) => {
    expect(refusal(() => new EventBase(wrong(value)))).toBe('ERR_INVALID_ARG_TYPE')
  })

  it('has one priority by default', () => {
    expect(openBase().priorities).toBe(1)
  })
})
