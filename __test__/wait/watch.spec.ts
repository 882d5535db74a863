import { getEventListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import { EV, LoopResult, type EventBase } from '../../index.js'
import { afterPass, openBase } from '../support/base.js'
import { close, readText, openPair, writeText } from '../support/descriptors.js'
import { asSystemError, codeOf, refusal, rejectionOf } from '../support/errors.js'

/** Keeps a base running until the function it returns is called. */
function keepRunning(base: EventBase): () => Promise<unknown> {
  const keeping = base.newTimer(() => {}).add(60_000)
  const running = base.run()
  return () => {
    keeping.del()
    return running
  }
}

describe('watch()', () => {
  it.each([0, EV.ET])('yields one item for each readiness, with extra bits %i', async (bits) => {
    const base = openBase()
    const [left, right] = openPair()
    const stop = keepRunning(base)
    const items: unknown[] = []
    writeText(right, 'message 1')
    for await (const what of base.watch(left, EV.READ | bits)) {
      items.push(what, readText(left))
      if (items.length === 6) break
      writeText(right, `message ${items.length / 2 + 1}`)
    }
    const expected = EV.READ | bits
    expect(items).toEqual([expected, 'message 1', expected, 'message 2', expected, 'message 3'])
    expect(await stop()).toBe(LoopResult.EMPTY)
    expect(base.countEvents(7)).toBe(0)
  })

  it('of a descriptor that stays ready yields an item for each call of next()', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const stop = keepRunning(base)
    writeText(right, 'never read')
    const watching = base.watch(left, EV.READ)
    for (let round = 0; round < 5; round += 1) {
      expect(await watching.next()).toEqual({ done: false, value: EV.READ })
    }
    await watching.return?.()
    await stop()
  })

  it('is not pending between calls of next(), unless it is edge-triggered', () => {
    const base = openBase()
    const [left, right] = openPair()
    base.watch(left, EV.READ)
    expect(base.countEvents(4)).toBe(0)
    base.watch(right, EV.READ | EV.ET)
    expect(base.countEvents(4)).toBe(1)
  })

  it('merges edges between calls of next()', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const stop = keepRunning(base)
    const watching = base.watch(left, EV.READ | EV.WRITE | EV.ET)
    await afterPass(base)
    writeText(right, 'a')
    await afterPass(base)
    writeText(right, 'b')
    await afterPass(base)
    expect(await watching.next()).toEqual({ done: false, value: EV.READ | EV.WRITE | EV.ET })
    expect(readText(left)).toBe('ab')
    let settled = false
    const next = watching.next().then((item) => {
      settled = true
      return item
    })
    await afterPass(base)
    expect(settled).toBe(false)
    writeText(right, 'c')
    expect(((await next).value ?? 0) & EV.READ).toBe(EV.READ)
    await watching.return?.()
    await stop()
  })

  it('settles several calls of next() in order', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const stop = keepRunning(base)
    const watching = base.watch(left, EV.READ)
    const pending = [watching.next(), watching.next(), watching.next()]
    writeText(right, 'x')
    expect(await Promise.all(pending)).toEqual(pending.map(() => ({ done: false, value: EV.READ })))
    await watching.return?.()
    await stop()
  })
})

describe('the end of watching', () => {
  it('by return() closes the event and settles pending calls of next()', async () => {
    const base = openBase()
    const watching = base.watch(openPair()[0], EV.READ)
    const pending = watching.next()
    expect(base.countEvents(4)).toBe(1)
    expect(await watching.return?.()).toEqual({ done: true, value: undefined })
    expect(await pending).toEqual({ done: true, value: undefined })
    expect(await watching.next()).toEqual({ done: true, value: undefined })
    expect(await watching.return?.()).toEqual({ done: true, value: undefined })
    expect(base.countEvents(7)).toBe(0)
    expect(await base.run()).toBe(LoopResult.EMPTY)
  })

  it('by a throw in the loop closes the event', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const stop = keepRunning(base)
    writeText(right, 'x')
    const loop = async (): Promise<void> => {
      for await (const what of base.watch(left, EV.READ | EV.ET)) throw new Error(`seen ${what}`)
    }
    expect(((await rejectionOf(loop())) as Error).message).toBe(`seen ${EV.READ | EV.ET}`)
    expect(await stop()).toBe(LoopResult.EMPTY)
  })

  it.each([0, EV.ET])(
    'by an abort throws the reason of the abort signal, with extra bits %i',
    async (bits) => {
      const base = openBase()
      const controller = new AbortController()
      const stop = keepRunning(base)
      const watching = base.watch(openPair()[0], EV.READ | bits, { signal: controller.signal })
      const reason = { any: 'value' }
      const pending = rejectionOf(watching.next())
      await sleep(2)
      controller.abort(reason)
      expect(await pending).toBe(reason)
      expect(await watching.next()).toEqual({ done: true, value: undefined })
      expect(await stop()).toBe(LoopResult.EMPTY)
    },
  )

  it('by an abort between calls of next() is reported by the next call', async () => {
    const controller = new AbortController()
    const watching = openBase().watch(openPair()[0], EV.READ, { signal: controller.signal })
    controller.abort()
    expect(((await rejectionOf(watching.next())) as Error).name).toBe('AbortError')
    expect(await watching.next()).toEqual({ done: true, value: undefined })
  })

  it('by closing the base throws ERR_EVENT_CLOSED', async () => {
    const base = openBase()
    const controller = new AbortController()
    const pending = rejectionOf(base.watch(openPair()[0], EV.READ, { signal: controller.signal }).next())
    const idle = base.watch(openPair()[0], EV.READ | EV.ET)
    base.close()
    expect(codeOf(await pending)).toBe('ERR_EVENT_CLOSED')
    expect(codeOf(await rejectionOf(idle.next()))).toBe('ERR_EVENT_CLOSED')
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })

  it('leaves no listener on the abort signal', async () => {
    const controller = new AbortController()
    const watching = openBase().watch(openPair()[0], EV.READ, { signal: controller.signal })
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
    await watching.return?.()
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
  })
})

describe('watch() refuses', () => {
  it.each([
    ['no interest', 0, 'ERR_EVENT_BAD_FLAGS'],
    ['PERSIST', EV.READ | EV.PERSIST, 'ERR_EVENT_BAD_FLAGS'],
    ['bits of NaN', NaN, 'ERR_OUT_OF_RANGE'],
  ])('%s', (_, what, code) => {
    expect(refusal(() => openBase().watch(openPair()[0], what))).toBe(code)
  })

  it('a descriptor that is not open: immediately with ET, otherwise in next()', async () => {
    const base = openBase()
    const [left] = openPair()
    close(left)
    const { signal } = new AbortController()
    expect(() => base.watch(left, EV.READ | EV.ET, { signal })).toThrow(
      expect.objectContaining({ code: 'EBADF' }),
    )
    expect(getEventListeners(signal, 'abort')).toEqual([])
    const watching = base.watch(left, EV.READ)
    expect(asSystemError(await rejectionOf(watching.next())).code).toBe('EBADF')
    expect(await watching.next()).toEqual({ done: true, value: undefined })
    base.close()
  })

  it('a descriptor that is closed between two calls of next() that are pending', async () => {
    const base = openBase()
    const [left, right] = openPair()
    base.newEvent(left, EV.READ, () => close(left)).add()
    const watching = base.watch(left, EV.READ)
    const [first, second, third] = [watching.next(), watching.next(), watching.next()].map((call) =>
      call.catch((error: unknown) => asSystemError(error).code),
    )
    writeText(right, 'x')
    base.dispatch()
    expect(await first).toEqual({ done: false, value: EV.READ })
    expect([await second, await third]).toEqual(['EBADF', 'EBADF'])
    expect(await watching.next()).toEqual({ done: true, value: undefined })
  })

  it('an abort signal that was aborted', () => {
    const reason = new Error('too early')
    const signal = AbortSignal.abort(reason)
    expect(() => openBase().watch(openPair()[0], EV.READ, { signal })).toThrow(reason)
  })
})
