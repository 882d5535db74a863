import { getEventListeners } from 'node:events'
import { setImmediate } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import { EV, type EventBase, LoopFlag, LoopResult } from '../../index.js'
import { StickySignal } from '../support/abort.js'
import { openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'
import { codeOf, collectUncaught, rejectionOf } from '../support/errors.js'

describe('an abort', () => {
  it('before run() rejects it with the reason, and runs nothing', async () => {
    const base = openBase()
    let count = 0
    base.newTimer(() => (count += 1)).add(0)
    const reason = new Error('too early')
    expect(await rejectionOf(base.run({ signal: AbortSignal.abort(reason) }))).toBe(reason)
    expect(count).toBe(0)
    expect(await base.run()).toBe(LoopResult.EMPTY)
    expect(count).toBe(1)
  })

  it('during run() rejects it with the reason, and the base can run again', async () => {
    const base = openBase()
    let count = 0
    const timer = base.newTimer(() => (count += 1)).add(60_000)
    const controller = new AbortController()
    const running = base.run({ signal: controller.signal })
    const reason = { any: 'value' }
    setTimeout(() => controller.abort(reason), 2)
    expect(await rejectionOf(running)).toBe(reason)
    expect(count).toBe(0)
    timer.add(0)
    expect(await base.run()).toBe(LoopResult.EMPTY)
    expect(count).toBe(1)
  })

  it('in a callback ends the run immediately', async () => {
    const base = openBase()
    const order: string[] = []
    const controller = new AbortController()
    base
      .newTimer(() => {
        order.push('first')
        controller.abort()
      })
      .add(0)
    base.newTimer(() => order.push('second')).add(0)
    const error = (await rejectionOf(base.run({ signal: controller.signal }))) as Error
    expect(error.name).toBe('AbortError')
    expect(order).toEqual(['first'])
    expect(base.dispatch()).toBe(LoopResult.EMPTY)
    expect(order).toEqual(['first', 'second'])
  })

  it('after the end has no listener', async () => {
    const base = openBase()
    const controller = new AbortController()
    expect(await base.run({ signal: controller.signal })).toBe(LoopResult.EMPTY)
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    controller.abort()
    expect(await base.run()).toBe(LoopResult.EMPTY)
  })

  it('of a base that is run again concerns the first run only', async () => {
    const base = openBase()
    const controller = new AbortController()
    const timer = base.newTimer(() => {}).add(60_000)
    const first = rejectionOf(base.run({ signal: controller.signal }))
    controller.abort()
    timer.add(5)
    const second = base.run()
    expect(((await first) as Error).name).toBe('AbortError')
    expect(await second).toBe(LoopResult.EMPTY)
  })
})

it('an object that behaves like an AbortSignal ends a run', async () => {
  const listeners = new Set<() => void>()
  const reason = new Error('the reason')
  const signal = {
    aborted: false,
    reason,
    addEventListener: (_type: string, listener: () => void) => void listeners.add(listener),
    removeEventListener: (_type: string, listener: () => void) => void listeners.delete(listener),
  }
  const base = openBase()
  const timer = base.newTimer(() => {}).add(60_000)
  const aborted = rejectionOf(base.run({ signal: signal as never }))
  for (const listener of listeners) listener()
  expect(await aborted).toBe(reason)
  const second = base.run({ signal: signal as never })
  timer.del()
  expect(await second).toBe(LoopResult.EMPTY)
  expect(listeners.size).toBe(0)
  signal.aborted = true
  expect(await rejectionOf(base.run({ signal: signal as never }))).toBe(reason)
})

it('run() starts nothing when listening to the abort signal fails', async () => {
  const failure = new Error('no listeners')
  const signal = Object.assign(new AbortController().signal, {
    addEventListener: () => {
      throw failure
    },
  })
  const base = openBase()
  base.newTimer(() => {}).add(60_000)
  expect(await rejectionOf(base.run({ signal }))).toBe(failure)
  expect(base.loop(LoopFlag.NONBLOCK)).toBe(LoopResult.STOPPED)
})

it('run() is rejected with the exception of an abort signal whose reason cannot be read', async () => {
  const failure = new Error('no reason')
  const sticky = new StickySignal()
  const uncaught = collectUncaught()
  Object.defineProperty(sticky, 'reason', {
    get: () => {
      throw failure
    },
    set: () => {},
  })
  const base = openBase()
  base.newTimer(() => {}).add(60_000)
  const running = rejectionOf(base.run({ signal: sticky.signal }))
  sticky.abort(undefined)
  expect(await running).toBe(failure)
  await setImmediate()
  expect(uncaught).toEqual([sticky.failure])
})

it('run() starts nothing for an abort signal that calls its listener while it is added', async () => {
  const reason = new Error('in between')
  const base = openBase()
  base.newTimer(() => {}).add(60_000)
  const controller = new AbortController()
  const signal = Object.assign(controller.signal, {
    addEventListener: (_type: string, listener: () => void) => {
      EventTarget.prototype.addEventListener.call(controller.signal, 'abort', listener)
      controller.abort(reason)
    },
  })
  expect(await rejectionOf(base.run({ signal: signal as never }))).toBe(reason)
  expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  expect(base.loop(LoopFlag.NONBLOCK)).toBe(LoopResult.STOPPED)
})

describe('an abort signal that throws when its listener is removed', () => {
  /** Starts with a signal, and returns a promise that settles when `end` is called. */
  const kinds: [
    string,
    (base: EventBase, signal: AbortSignal) => { ended: Promise<unknown>; end: () => void },
  ][] = [
    [
      'run()',
      (base, signal) => {
        const timer = base.newTimer(() => {}).add(60_000)
        return { ended: base.run({ signal }), end: () => timer.del() }
      },
    ],
    [
      'wait()',
      (base, signal) => {
        const [near, far] = openPair()
        const ended = base.wait(near, EV.READ, { signal })
        return { ended, end: () => writeText(far, 'x') }
      },
    ],
    [
      'watch()',
      (base, signal) => {
        const [near] = openPair()
        const items = base.watch(near, EV.READ, { signal })[Symbol.asyncIterator]()
        const ended = items.next()
        return { ended, end: () => void items.return?.() }
      },
    ],
  ]

  it.each(kinds)('does not keep %s from settling, and its exception is uncaught', async (name, start) => {
    const sticky = new StickySignal()
    const uncaught = collectUncaught()
    const base = openBase()
    const { ended, end } = start(base, sticky.signal)
    const running = name === 'run()' ? ended : base.run()
    end()
    await ended
    expect(await running).toBe(LoopResult.EMPTY)
    await setImmediate()
    expect(uncaught).toEqual([sticky.failure])
    // The listener that could not be removed does nothing.
    base.newTimer(() => {}).add(1)
    const second = base.run()
    sticky.abort(new Error('too late'))
    expect(await second).toBe(LoopResult.EMPTY)
    expect(uncaught).toEqual([sticky.failure])
  })

  it.each(kinds)('ends %s with its reason, and its exception is uncaught', async (_name, start) => {
    const sticky = new StickySignal()
    const uncaught = collectUncaught()
    const base = openBase()
    const ended = rejectionOf(start(base, sticky.signal).ended)
    const reason = new Error('the reason')
    sticky.abort(reason)
    expect(await ended).toBe(reason)
    await setImmediate()
    expect(uncaught).toEqual([sticky.failure])
    // The base is not running.
    expect(base.loop(LoopFlag.NONBLOCK)).toBeDefined()
  })
})

describe('run() is rejected', () => {
  it('while the base is running', async () => {
    const base = openBase()
    const timer = base.newTimer(() => {}).add(60_000)
    const first = base.run()
    const { signal } = new AbortController()
    expect(codeOf(await rejectionOf(base.run({ signal })))).toBe('ERR_EVENT_REENTRANT')
    expect(getEventListeners(signal, 'abort')).toEqual([])
    timer.del()
    expect(await first).toBe(LoopResult.EMPTY)
  })

  it('for an object that is no abort signal, without starting to run', async () => {
    const candidates = [
      null,
      1,
      {},
      new AbortController(),
      { aborted: false },
      { aborted: false, addEventListener: 1, removeEventListener: () => {} },
      { aborted: 'no', addEventListener: () => {}, removeEventListener: () => {} },
    ]
    for (const signal of candidates) {
      const base = openBase()
      base.newTimer(() => {}).add(60_000)
      const error = await rejectionOf(base.run({ signal: signal as never }))
      expect(codeOf(error)).toBe('ERR_INVALID_ARG_TYPE')
      expect(base.loop(LoopFlag.NONBLOCK)).toBe(LoopResult.STOPPED)
    }
    expect(codeOf(await rejectionOf(openBase().run(null as never)))).toBe('ERR_INVALID_ARG_TYPE')
  })
})

describe('loop() is refused', () => {
  it('while the base is run, inside a callback and outside', async () => {
    const base = openBase()
    const codes: string[] = []
    const attempt = (): void => {
      try {
        base.loop()
      } catch (error) {
        codes.push(codeOf(error))
      }
    }
    base.newTimer(attempt).add(5)
    const running = base.run()
    attempt()
    expect(await running).toBe(LoopResult.EMPTY)
    expect(codes).toEqual(['ERR_EVENT_REENTRANT', 'ERR_EVENT_REENTRANT'])
  })
})
