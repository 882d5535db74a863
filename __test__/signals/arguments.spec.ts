import { describe, expect, it } from 'vitest'

import { CountFlag, EV, EventConfig, type EventBase, type Signal } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { asSystemError, refusal, thrownBy } from '../support/errors.js'
import { SIGKILL, SIGSTOP, SIGUSR2 } from '../support/signals.js'
import { hasHandler, reportsHandlers } from '../../scripts/lib/system.mjs'

const TYPE = 'ERR_INVALID_ARG_TYPE'
const RANGE = 'ERR_OUT_OF_RANGE'
const wrong = (value: unknown): never => value as never

const refused: readonly (readonly [string, (base: EventBase) => unknown, string])[] = [
  ['C-012: the number -1', (base) => base.newSignal(-1, never), RANGE],
  ['the number 0', (base) => base.newSignal(0, never), RANGE],
  ['C-012: a number beyond the last', (base) => base.newSignal(65, never), RANGE],
  ['half a number', (base) => base.newSignal(1.5, never), RANGE],
  ['NaN', (base) => base.newSignal(NaN, never), RANGE],
  ['an unknown name', (base) => base.newSignal(wrong('SIGNOTHING'), never), RANGE],
  ['a name in small letters', (base) => base.newSignal(wrong('sigint'), never), RANGE],
  ['the name of a method of objects', (base) => base.newSignal(wrong('toString'), never), RANGE],
  ['no signal', (base) => base.newSignal(wrong(undefined), never), TYPE],
  ['null', (base) => base.newSignal(wrong(null), never), TYPE],
  ['a bigint', (base) => base.newSignal(wrong(10n), never), TYPE],
  ['an AbortSignal', (base) => base.newSignal(wrong(AbortSignal.abort()), never), TYPE],
  ['no callback', (base) => base.newSignal('SIGUSR2', wrong(undefined)), TYPE],
  ['a number for options', (base) => base.newSignal('SIGUSR2', never, wrong(1)), TYPE],
  ['null for persist', (base) => base.newSignal('SIGUSR2', never, { persist: wrong(null) }), TYPE],
  ['a priority beyond the last', (base) => base.newSignal('SIGUSR2', never, { priority: 3 }), RANGE],
  ['activation of an unknown name', (base) => base.activateBySignal(wrong('SIGNOTHING')), RANGE],
  ['activation of half a number', (base) => base.activateBySignal(0.5), RANGE],
  ['activation of nothing', (base) => base.activateBySignal(wrong(undefined)), TYPE],
]

describe('signals', () => {
  it.each(refused)('%s is refused', (_, call, code) => {
    const base = openBase(new EventConfig().setPriorities(3))
    expect(refusal(() => call(base))).toBe(code)
    expect(base.maxEvents(CountFlag.ADDED)).toBe(0)
    if (reportsHandlers) expect(hasHandler(SIGUSR2)).toBe(false)
  })

  it.each([
    ['SIGKILL', SIGKILL],
    ['SIGSTOP', SIGSTOP],
    ['one that the C library reserves', 33],
  ])('that no process can handle are refused by the kernel: %s', (_, number) => {
    const event = openBase().newSignal(number, never)
    const error = asSystemError(thrownBy(() => event.add()))
    expect({ ...error }).toEqual({ code: 'EINVAL', errno: -22, syscall: 'sigaction' })
    expect(event.pending()).toBe(0)
    expect(event.closed).toBe(false)
  })

  it('are named or numbered', () => {
    const base = openBase(new EventConfig().setPriorities(3))
    const seen = (signal: Signal, options?: object): unknown => {
      const event = base.newSignal(signal, never, options)
      return [event.signal, event.fd, event.what, event.priority]
    }
    expect(seen('SIGUSR2')).toEqual([SIGUSR2, SIGUSR2, EV.SIGNAL | EV.PERSIST, 1])
    expect(seen(SIGUSR2, { persist: true })).toEqual([SIGUSR2, SIGUSR2, EV.SIGNAL | EV.PERSIST, 1])
    expect(seen('SIGUSR2', { persist: false, priority: 2 })).toEqual([SIGUSR2, SIGUSR2, EV.SIGNAL, 2])
    expect(seen(34)).toEqual([34, 34, EV.SIGNAL | EV.PERSIST, 1])
  })

  it('C-013: have no place in newEvent()', () => {
    const base = openBase()
    for (const what of [EV.SIGNAL, EV.SIGNAL | EV.READ]) {
      expect(refusal(() => base.newEvent(SIGUSR2, what, never))).toBe('ERR_EVENT_BAD_FLAGS')
    }
  })

  it('are refused by a base that is closed', () => {
    const base = openBase()
    base.close()
    const calls = [
      () => base.newSignal('SIGUSR2', never),
      () => base.activateBySignal('SIGUSR2'),
      () => base.signalMethod,
    ]
    for (const call of calls) expect(refusal(call)).toBe('ERR_EVENT_CLOSED')
  })
})
