import { describe, expect, it } from 'vitest'

import { EV, EventBase, type Event } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { openPair } from '../support/descriptors.js'
import { codeOf, refusal, rejectionOf } from '../support/errors.js'

const CLOSED = 'ERR_EVENT_CLOSED'

const ofBase: Record<string, (base: EventBase) => unknown> = {
  method: (base) => base.method,
  features: (base) => base.features,
  priorities: (base) => base.priorities,
  newEvent: (base) => base.newEvent(0, EV.READ, never),
  newTimer: (base) => base.newTimer(never),
  newSignal: (base) => base.newSignal('SIGHUP', never),
  signalMethod: (base) => base.signalMethod,
  once: (base) => base.once(-1, EV.TIMEOUT, never),
  watch: (base) => base.watch(0, EV.READ),
  commonTimeout: (base) => base.commonTimeout(1),
  onPrepare: (base) => base.onPrepare(never),
  onCheck: (base) => base.onCheck(never),
  dispatch: (base) => base.dispatch(),
  loop: (base) => base.loop(),
  ref: (base) => base.ref(),
  unref: (base) => base.unref(),
  hasRef: (base) => base.hasRef(),
  loopExit: (base) => base.loopExit(),
  loopBreak: (base) => base.loopBreak(),
  loopContinue: (base) => base.loopContinue(),
  gotExit: (base) => base.gotExit,
  gotBreak: (base) => base.gotBreak,
  now: (base) => base.now(),
  monotonic: (base) => base.monotonic(),
  updateCachedTime: (base) => base.updateCachedTime(),
  setPriorities: (base) => base.setPriorities(1),
  countEvents: (base) => base.countEvents(1),
  maxEvents: (base) => base.maxEvents(1),
  events: (base) => base.events(),
  dump: (base) => base.dump(),
  stats: (base) => base.stats,
  resetStats: (base) => base.resetStats(),
  runningEvent: (base) => base.runningEvent,
  reinit: (base) => base.reinit(),
  share: (base) => base.share(),
  activateByFd: (base) => base.activateByFd(-1, EV.TIMEOUT),
  activateBySignal: (base) => base.activateBySignal('SIGHUP'),
}

/** Members that return a promise. */
const promising: Record<string, (base: EventBase) => Promise<unknown>> = {
  wait: (base) => base.wait(0, EV.READ),
  run: (base) => base.run(),
}

const ofEvent: Record<string, (event: Event) => unknown> = {
  add: (event) => event.add(1),
  del: (event) => event.del(),
  removeTimer: (event) => event.removeTimer(),
  activate: (event) => event.activate(),
  pending: (event) => event.pending(),
  expiresAt: (event) => event.expiresAt,
  id: (event) => event.id,
  priority: (event) => (event.priority = 0),
  finalize: (event) => event.finalize(),
}

/** The properties that an event keeps after it was closed. */
const facts = ['fd', 'what', 'base', 'signal', 'closed']

const members = (prototype: object): string[] =>
  Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor' && name !== 'close')

describe('the tables below', () => {
  it('name every member', () => {
    const base = openBase()
    const tables = [...Object.keys(ofBase), ...Object.keys(promising), 'closed']
    expect(members(EventBase.prototype).toSorted()).toEqual(tables.toSorted())
    const event = Object.getPrototypeOf(base.newTimer(never)) as object
    expect(members(event).toSorted()).toEqual([...Object.keys(ofEvent), ...facts].toSorted())
  })
})

describe('a closed base', () => {
  it.each(Object.entries(ofBase))('refuses %s', (_, call) => {
    const base = openBase()
    base.close()
    expect(refusal(() => call(base))).toBe(CLOSED)
  })

  it.each(Object.entries(promising))('rejects %s', async (_, call) => {
    const base = openBase()
    base.close()
    expect(codeOf(await rejectionOf(call(base)))).toBe(CLOSED)
  })

  it('is reported as closed, and can be closed again', () => {
    const base = openBase()
    expect(base.closed).toBe(false)
    base.close()
    base.close()
    base[Symbol.dispose]()
    expect(base.closed).toBe(true)
  })

  it('closes its events', () => {
    const base = openBase()
    const event = base.newTimer(never).add(1000)
    base.close()
    expect(event.closed).toBe(true)
    event.close()
    for (const call of Object.values(ofEvent)) expect(refusal(() => call(event))).toBe(CLOSED)
  })
})

describe('a closed event', () => {
  it.each(Object.entries(ofEvent))('refuses %s', (_, call) => {
    const base = openBase()
    const event = base.newTimer(never).add(1000)
    event.close()
    expect(refusal(() => call(event))).toBe(CLOSED)
    expect(base.countEvents(7)).toBe(0)
  })

  it('keeps its properties', () => {
    const base = openBase()
    const [left] = openPair()
    const event = base.newEvent(left, EV.READ, never)
    event.close()
    event.close()
    event[Symbol.dispose]()
    expect([event.fd, event.what, event.signal, event.closed]).toEqual([left, EV.READ, undefined, true])
    expect(event.base).toBe(base)
  })

  it.each([false, true])('is freed, with its id read: %s', (isNamed) => {
    const base = openBase()
    const event = base.newTimer(never).add(1)
    if (isNamed) expect(event.id).toBeGreaterThanOrEqual(0)
    event.close()
    expect(base.dispatch()).toBe(1)
  })
})
