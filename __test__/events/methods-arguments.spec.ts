import { describe, expect, it } from 'vitest'

import { CountFlag, EV, EventConfig, type Event, type EventBase } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { refusal } from '../support/errors.js'

const TYPE = 'ERR_INVALID_ARG_TYPE'
const RANGE = 'ERR_OUT_OF_RANGE'
const FLAGS = 'ERR_EVENT_BAD_FLAGS'
const LONGEST = Number.MAX_SAFE_INTEGER / 1000

const wrong = (value: unknown): never => value as never

const ofEvents: readonly (readonly [what: string, call: (event: Event) => unknown, code: string])[] = [
  ['add(-1)', (event) => event.add(-1), RANGE],
  ['add(-Number.MIN_VALUE)', (event) => event.add(-Number.MIN_VALUE), RANGE],
  ['add(NaN)', (event) => event.add(NaN), RANGE],
  ['add(Infinity)', (event) => event.add(Infinity), RANGE],
  ['add(), longer than the longest', (event) => event.add(LONGEST + 1), RANGE],
  ['add("5")', (event) => event.add(wrong('5')), TYPE],
  ['add(null)', (event) => event.add(wrong(null)), TYPE],
  ['add({})', (event) => event.add(wrong({})), TYPE],
  ['add(5n)', (event) => event.add(wrong(5n)), TYPE],
  ['activate(PERSIST)', (event) => event.activate(EV.PERSIST), FLAGS],
  ['activate(FINALIZE)', (event) => event.activate(EV.FINALIZE), FLAGS],
  ['activate(-1)', (event) => event.activate(-1), RANGE],
  ['activate("1")', (event) => event.activate(wrong('1')), TYPE],
  ['activate(0, -1)', (event) => event.activate(0, -1), RANGE],
  ['activate(0, 0.5)', (event) => event.activate(0, 0.5), RANGE],
  ['pending(0x100)', (event) => event.pending(0x100), FLAGS],
  ['pending(NaN)', (event) => event.pending(NaN), RANGE],
  ['pending(null)', (event) => event.pending(wrong(null)), TYPE],
  ['finalize(1)', (event) => event.finalize(wrong(1)), TYPE],
  ['finalize(null)', (event) => event.finalize(wrong(null)), TYPE],
  ['a priority of 3 of 3', (event) => (event.priority = 3), RANGE],
  ['a priority of -1', (event) => (event.priority = -1), RANGE],
  ['a priority of NaN', (event) => (event.priority = NaN), RANGE],
  ['a priority of "1"', (event) => (event.priority = wrong('1')), TYPE],
]

const ofBases: readonly (readonly [what: string, call: (base: EventBase) => unknown, code: string])[] = [
  ['loop(8)', (base) => base.loop(8), FLAGS],
  ['loop(-1)', (base) => base.loop(-1), RANGE],
  ['loop(null)', (base) => base.loop(wrong(null)), TYPE],
  ['loop("1")', (base) => base.loop(wrong('1')), TYPE],
  ['loopExit(-1)', (base) => base.loopExit(-1), RANGE],
  ['loopExit(NaN)', (base) => base.loopExit(NaN), RANGE],
  ['loopExit(null)', (base) => base.loopExit(wrong(null)), TYPE],
  ['setPriorities(0)', (base) => base.setPriorities(0), RANGE],
  ['setPriorities(256)', (base) => base.setPriorities(256), RANGE],
  ['setPriorities("2")', (base) => base.setPriorities(wrong('2')), TYPE],
  ['countEvents(8)', (base) => base.countEvents(8), FLAGS],
  ['countEvents(-1)', (base) => base.countEvents(-1), RANGE],
  ['countEvents()', (base) => base.countEvents(wrong(undefined)), TYPE],
  ['maxEvents(8)', (base) => base.maxEvents(8), FLAGS],
  ['maxEvents(7, 1)', (base) => base.maxEvents(7, wrong(1)), TYPE],
  ['activateByFd(-2, READ)', (base) => base.activateByFd(-2, EV.READ), RANGE],
  ['activateByFd(2 ** 31, READ)', (base) => base.activateByFd(2 ** 31, EV.READ), RANGE],
  ['activateByFd(0, PERSIST)', (base) => base.activateByFd(0, EV.PERSIST), FLAGS],
  ['activateByFd("0", READ)', (base) => base.activateByFd(wrong('0'), EV.READ), TYPE],
]

describe('an event refuses', () => {
  it.each(ofEvents)('%s', (_, call, code) => {
    const base = openBase(new EventConfig().setPriorities(3))
    const event = base.newTimer(never)
    expect(refusal(() => call(event))).toBe(code)
    expect(event.pending()).toBe(0)
    expect(event.priority).toBe(1)
    expect(base.maxEvents(CountFlag.ACTIVE | CountFlag.ADDED)).toBe(0)
    // The event works as before.
    event.add(1000)
    expect(refusal(() => call(event))).toBe(code)
    expect(event.pending()).toBe(EV.TIMEOUT)
    expect(base.countEvents(CountFlag.ADDED)).toBe(1)
  })
})

describe('a base refuses', () => {
  it.each(ofBases)('%s', (_, call, code) => {
    const base = openBase()
    expect(refusal(() => call(base))).toBe(code)
    // The loop of the base works as before.
    expect(base.dispatch()).toBe(1)
  })
})

describe('the longest timeout', () => {
  it('is accepted and does not expire', () => {
    const base = openBase()
    const event = base.newTimer(never).add(LONGEST)
    expect(event.pending()).toBe(EV.TIMEOUT)
    expect(event.expiresAt).toBeGreaterThan(Date.now() + LONGEST / 2)
    expect(base.loopExit(5).dispatch()).toBe(0)
  })
})
