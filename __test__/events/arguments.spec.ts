import { describe, expect, it } from 'vitest'

import { CountFlag, EV, EventConfig, type EventBase } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { openPair } from '../support/descriptors.js'
import { refusal } from '../support/errors.js'

type Row = readonly [what: string, call: (base: EventBase) => unknown, code: string]

const TYPE = 'ERR_INVALID_ARG_TYPE'
const RANGE = 'ERR_OUT_OF_RANGE'
const FLAGS = 'ERR_EVENT_BAD_FLAGS'
const ALL = CountFlag.ACTIVE | CountFlag.VIRTUAL | CountFlag.ADDED

const wrong = (value: unknown): never => value as never

const descriptors: readonly Row[] = [
  ['a descriptor of -1 with an interest', (base) => base.newEvent(-1, EV.READ, never), RANGE],
  ['a descriptor of -2', (base) => base.newEvent(-2, EV.READ, never), RANGE],
  ['a descriptor without an interest', (base) => base.newEvent(0, 0, never), RANGE],
  ['a descriptor of 2 ** 31', (base) => base.newEvent(2 ** 31, EV.READ, never), RANGE],
  ['a descriptor of 1.5', (base) => base.newEvent(1.5, EV.READ, never), RANGE],
  ['a descriptor of NaN', (base) => base.newEvent(NaN, EV.READ, never), RANGE],
  ['a descriptor of Infinity', (base) => base.newEvent(Infinity, EV.READ, never), RANGE],
  ['a string for a descriptor', (base) => base.newEvent(wrong('0'), EV.READ, never), TYPE],
  ['null for a descriptor', (base) => base.newEvent(wrong(null), EV.READ, never), TYPE],
  ['no descriptor', (base) => base.newEvent(wrong(undefined), EV.READ, never), TYPE],
  ['a bigint for a descriptor', (base) => base.newEvent(wrong(1n), EV.READ, never), TYPE],
]

const bits: readonly Row[] = [
  ['SIGNAL', (base) => base.newEvent(1, EV.SIGNAL, never), FLAGS],
  ['C-013: SIGNAL with READ', (base) => base.newEvent(1, EV.SIGNAL | EV.READ, never), FLAGS],
  ['FINALIZE', (base) => base.newEvent(1, EV.READ | EV.FINALIZE, never), FLAGS],
  ['ET without an interest', (base) => base.newEvent(-1, EV.ET, never), FLAGS],
  ['an unknown bit', (base) => base.newEvent(1, EV.READ | 0x100, never), FLAGS],
  ['negative bits', (base) => base.newEvent(1, -1, never), RANGE],
  ['bits beyond 32', (base) => base.newEvent(1, 2 ** 32 + EV.READ, never), RANGE],
  ['bits of NaN', (base) => base.newEvent(1, NaN, never), RANGE],
  ['half a bit', (base) => base.newEvent(1, 2.5, never), RANGE],
  ['a string for bits', (base) => base.newEvent(1, wrong('2'), never), TYPE],
  ['no bits', (base) => base.newEvent(1, wrong(undefined), never), TYPE],
]

const others: readonly Row[] = [
  ['no callback', (base) => base.newEvent(1, EV.READ, wrong(undefined)), TYPE],
  ['null for a callback', (base) => base.newEvent(1, EV.READ, wrong(null)), TYPE],
  ['an object for a callback', (base) => base.newTimer(wrong({ handleEvent: never })), TYPE],
  ['a timer without a callback', (base) => base.newTimer(wrong(undefined)), TYPE],
  ['null for options', (base) => base.newTimer(never, wrong(null)), TYPE],
  ['a number for options', (base) => base.newTimer(never, wrong(1)), TYPE],
  ['a priority of -1', (base) => base.newTimer(never, { priority: -1 }), RANGE],
  ['a priority beyond the last', (base) => base.newTimer(never, { priority: 3 }), RANGE],
  ['a priority of 0.5', (base) => base.newTimer(never, { priority: 0.5 }), RANGE],
  ['a string for a priority', (base) => base.newTimer(never, { priority: wrong('1') }), TYPE],
  ['1 for persist', (base) => base.newTimer(never, { persist: wrong(1) }), TYPE],
  ['null for persist', (base) => base.newTimer(never, { persist: wrong(null) }), TYPE],
]

const once: readonly Row[] = [
  ['C-046: no bit', (base) => base.once(-1, 0, never), FLAGS],
  ['SIGNAL', (base) => base.once(1, EV.SIGNAL, never), FLAGS],
  ['PERSIST', (base) => base.once(1, EV.READ | EV.PERSIST, never), FLAGS],
  ['an unknown bit', (base) => base.once(1, 0x102, never), FLAGS],
  ['-1 with an interest', (base) => base.once(-1, EV.READ, never), RANGE],
  ['a descriptor for a timer', (base) => base.once(1, EV.TIMEOUT, never), RANGE],
  ['a timeout of -1', (base) => base.once(-1, EV.TIMEOUT, never, -1), RANGE],
  ['a timeout of NaN', (base) => base.once(-1, EV.TIMEOUT, never, NaN), RANGE],
  ['null for a timeout', (base) => base.once(-1, EV.TIMEOUT, never, wrong(null)), TYPE],
  ['no callback', (base) => base.once(-1, EV.TIMEOUT, wrong(undefined)), TYPE],
]

describe.each([
  ['newEvent()', descriptors],
  ['newEvent()', bits],
  ['newEvent() or newTimer()', others],
  ['once()', once],
])('%s refuses', (_name, rows) => {
  it.each(rows)('%s', (_, call, code) => {
    const base = openBase(new EventConfig().setPriorities(3))
    expect(refusal(() => call(base))).toBe(code)
    expect(base.countEvents(ALL)).toBe(0)
    expect(base.maxEvents(ALL)).toBe(0)
    expect(base.events()).toEqual([])
  })
})

describe('newEvent()', () => {
  it('accepts TIMEOUT and ignores it', () => {
    const [left] = openPair()
    const base = openBase()
    expect(base.newEvent(left, EV.READ | EV.TIMEOUT, never).what).toBe(EV.READ)
    expect(base.newEvent(-1, EV.TIMEOUT, never).what).toBe(0)
  })

  it('takes persist for the PERSIST bit', () => {
    const base = openBase()
    expect(base.newEvent(-1, 0, never, { persist: true }).what).toBe(EV.PERSIST)
    expect(base.newTimer(never, { persist: true }).what).toBe(EV.PERSIST)
    expect(base.newTimer(never, { persist: false }).what).toBe(0)
  })

  it('gives the middle priority by default', () => {
    expect(openBase(new EventConfig().setPriorities(1)).newTimer(never).priority).toBe(0)
    expect(openBase(new EventConfig().setPriorities(2)).newTimer(never).priority).toBe(1)
    expect(openBase(new EventConfig().setPriorities(255)).newTimer(never).priority).toBe(127)
  })

  it('returns an event with the arguments as properties', () => {
    const [left] = openPair()
    const base = openBase(new EventConfig().setPriorities(3))
    const event = base.newEvent(left, EV.READ | EV.ET, never, { priority: 2 })
    const { fd, what, priority, signal, closed } = event
    expect({ fd, what, priority, signal, closed }).toEqual({
      fd: left,
      what: EV.READ | EV.ET,
      priority: 2,
      signal: undefined,
      closed: false,
    })
    expect(event.base).toBe(base)
    expect(event.pending()).toBe(0)
    expect(base.newTimer(never).fd).toBe(-1)
  })
})
