import { getEventListeners } from 'node:events'

import { describe, expect, it } from 'vitest'

import { EV, LoopResult } from '../../index.js'
import { openBase } from '../support/base.js'
import { close, openPair, writeText } from '../support/descriptors.js'
import { asSystemError, codeOf, refusal, rejectionOf } from '../support/errors.js'

describe('wait()', () => {
  it('resolves with the result bits', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const waiting = [base.wait(left, EV.READ), base.wait(left, EV.READ | EV.WRITE), base.wait(left, EV.WRITE)]
    writeText(right, 'x')
    expect(await base.run()).toBe(LoopResult.EMPTY)
    expect(await Promise.all(waiting)).toEqual([EV.READ, EV.READ | EV.WRITE, EV.WRITE])
  })

  it('resolves with ET if that was requested', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const waiting = base.wait(left, EV.READ | EV.ET)
    writeText(right, 'x')
    await base.run()
    expect(await waiting).toBe(EV.READ | EV.ET)
  })

  it('resolves with TIMEOUT when the time has passed, and not before', async () => {
    const base = openBase()
    const start = performance.now()
    const waiting = base.wait(openPair()[0], EV.READ, { timeout: 8 })
    expect(await base.run()).toBe(LoopResult.EMPTY)
    expect(await waiting).toBe(EV.TIMEOUT)
    expect(performance.now() - start).toBeGreaterThanOrEqual(8)
  })

  it('settles after loop() has returned, like every promise', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const order: string[] = []
    const waiting = base.wait(left, EV.READ).then((what) => order.push(`resolved ${what}`))
    writeText(right, 'x')
    base.dispatch()
    order.push('dispatch returned')
    await waiting
    expect(order).toEqual(['dispatch returned', `resolved ${EV.READ}`])
  })

  it('works one after the other in a run', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const conversation = async (): Promise<number[]> => {
      const results = [await base.wait(left, EV.WRITE)]
      writeText(left, 'question')
      results.push(await base.wait(right, EV.READ))
      writeText(right, 'answer')
      results.push(await base.wait(left, EV.READ))
      return results
    }
    const talking = conversation()
    // Between two waits nothing is pending: this keeps the run going.
    const keeping = base.newTimer(() => {}).add(60_000)
    const running = base.run()
    expect(await talking).toEqual([EV.WRITE, EV.READ, EV.READ])
    keeping.del()
    expect(await running).toBe(LoopResult.EMPTY)
  })

  it('is pending until it is ready, and not afterwards', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const waiting = base.wait(left, EV.READ)
    expect(base.countEvents(4)).toBe(1)
    writeText(right, 'x')
    await base.run()
    await waiting
    expect(base.countEvents(7)).toBe(0)
  })
})

describe('wait() is rejected', () => {
  it('with the reason of the abort signal, and stops waiting', async () => {
    const base = openBase()
    const controller = new AbortController()
    const waiting = base.wait(openPair()[0], EV.READ, { signal: controller.signal, timeout: 60_000 })
    const running = base.run()
    const reason = { any: 'value' }
    setTimeout(() => controller.abort(reason), 2)
    expect(await rejectionOf(waiting)).toBe(reason)
    expect(await running).toBe(LoopResult.EMPTY)
    expect(base.countEvents(7)).toBe(0)
  })

  it('with the reason of an abort signal that was aborted before', async () => {
    const base = openBase()
    const reason = new Error('too early')
    const waiting = base.wait(openPair()[0], EV.READ, { signal: AbortSignal.abort(reason) })
    expect(await rejectionOf(waiting)).toBe(reason)
    expect(base.countEvents(7)).toBe(0)
  })

  it('for an object that is no abort signal, and waits for nothing', async () => {
    const base = openBase()
    const [left] = openPair()
    const signal = { aborted: false } as never
    expect(codeOf(await rejectionOf(base.wait(left, EV.READ, { signal })))).toBe('ERR_INVALID_ARG_TYPE')
    expect(refusal(() => base.watch(left, EV.READ | EV.ET, { signal }))).toBe('ERR_INVALID_ARG_TYPE')
    expect(base.countEvents(7)).toBe(0)
  })

  it('with the error of the system, and removes its listener', async () => {
    const controller = new AbortController()
    const base = openBase()
    const [left] = openPair()
    close(left)
    const waiting = base.wait(left, EV.READ, { signal: controller.signal })
    expect(asSystemError(await rejectionOf(waiting)).code).toBe('EBADF')
    expect(() => base.watch(left, EV.READ | EV.ET, { signal: controller.signal })).toThrow('EBADF')
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  it('with ERR_EVENT_CLOSED when the base is closed', async () => {
    const base = openBase()
    const controller = new AbortController()
    const waiting = [
      base.wait(openPair()[0], EV.READ),
      base.wait(openPair()[0], EV.READ, { timeout: 5, signal: controller.signal }),
    ]
    base.close()
    for (const promise of waiting) expect(codeOf(await rejectionOf(promise))).toBe('ERR_EVENT_CLOSED')
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    controller.abort()
  })

  it('with ERR_EVENT_CLOSED when the base is closed in a callback of a run', async () => {
    const base = openBase()
    const waiting = rejectionOf(base.wait(openPair()[0], EV.READ))
    base.newTimer(() => base.close()).add(1)
    expect(await base.run()).toBe(LoopResult.STOPPED)
    expect(codeOf(await waiting)).toBe('ERR_EVENT_CLOSED')
  })

  it('with the error of the system when the descriptor is refused', async () => {
    const base = openBase()
    const [left] = openPair()
    close(left)
    const controller = new AbortController()
    const error = asSystemError(await rejectionOf(base.wait(left, EV.READ, { signal: controller.signal })))
    expect([error.code, error.syscall, error.fd]).toEqual(['EBADF', 'epoll_ctl', left])
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    base.close()
  })

  it.each([
    ['no interest', 0, {}, 'ERR_EVENT_BAD_FLAGS'],
    ['ET alone', EV.ET, {}, 'ERR_EVENT_BAD_FLAGS'],
    ['PERSIST', EV.READ | EV.PERSIST, {}, 'ERR_EVENT_BAD_FLAGS'],
    ['SIGNAL', EV.SIGNAL, {}, 'ERR_EVENT_BAD_FLAGS'],
    ['a timeout of -1', EV.READ, { timeout: -1 }, 'ERR_OUT_OF_RANGE'],
    ['a timeout of NaN', EV.READ, { timeout: NaN }, 'ERR_OUT_OF_RANGE'],
    ['null for a timeout', EV.READ, { timeout: null }, 'ERR_INVALID_ARG_TYPE'],
    ['a value that is no abort signal', EV.READ, { signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    ['null for options', EV.READ, null, 'ERR_INVALID_ARG_TYPE'],
  ])('for %s', async (_, what, options, code) => {
    const base = openBase()
    expect(codeOf(await rejectionOf(base.wait(openPair()[0], what, options as never)))).toBe(code)
    expect(base.countEvents(7)).toBe(0)
  })

  it('for an invalid descriptor', async () => {
    const base = openBase()
    expect(codeOf(await rejectionOf(base.wait(-1, EV.READ)))).toBe('ERR_OUT_OF_RANGE')
    expect(codeOf(await rejectionOf(base.wait('0' as never, EV.READ)))).toBe('ERR_INVALID_ARG_TYPE')
  })
})
