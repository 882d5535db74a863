import { AsyncLocalStorage } from 'node:async_hooks'

import { describe, expect, it } from 'vitest'

import { EV, LoopResult } from '../../index.js'
import { never, openBase } from '../support/base.js'
import { openPair, writeText } from '../support/descriptors.js'
import { runFixture } from '../support/child.js'

describe('prepare and check watchers under run()', () => {
  it('are called around each poll, with the time that the host would wait', async () => {
    const base = openBase()
    const order: string[] = []
    let longest = 0
    base.onPrepare((wait = 0) => {
      order.push('prepare')
      longest = Math.max(longest, wait)
    })
    base.onCheck(() => order.push('check'))
    base
      .newTimer(() => {
        order.push('a')
        base.newTimer(() => order.push('b')).add(0)
      })
      .add(100)
    expect(await base.run()).toBe(LoopResult.EMPTY)
    expect(longest).toBeGreaterThan(0)
    expect(longest).toBeLessThanOrEqual(100)
    expect(order.slice(-6)).toEqual(['prepare', 'check', 'a', 'prepare', 'check', 'b'])
    // They are called alternately, and not repeatedly without an event.
    const around = order.filter((name) => name.length > 1)
    expect(around).toEqual(around.map((_, index) => (index % 2 === 0 ? 'prepare' : 'check')))
    expect(around.length).toBeLessThan(20)
  })

  it('may add timers, activate and delete', async () => {
    const base = openBase()
    const order: string[] = []
    const late = base.newTimer(never).add(60_000)
    const user = base.newEvent(-1, 0, () => order.push('user'))
    base.onPrepare((_, watcher) => {
      watcher.close()
      base.newTimer(() => order.push('timer')).add(5)
    })
    base.onCheck((watcher) => {
      watcher.close()
      user.activate()
      late.del()
    })
    expect(await base.run()).toBe(LoopResult.EMPTY)
    expect(order).toEqual(['user', 'timer'])
  })

  it('are called before the callbacks of descriptors that are ready', async () => {
    const base = openBase()
    const [left, right] = openPair()
    const order: string[] = []
    base.newEvent(left, EV.READ, () => order.push('read')).add()
    writeText(right, 'x')
    const check = base.onCheck(() => order.push('check'))
    await base.run()
    expect(order.slice(-2)).toEqual(['check', 'read'])
    check.close()
  })

  it('let microtasks and next ticks run after each', async () => {
    const base = openBase()
    const order: string[] = []
    base.onPrepare((_, watcher) => {
      watcher.close()
      order.push('prepare')
      queueMicrotask(() => order.push('microtask'))
      process.nextTick(() => order.push('tick'))
    })
    base.onCheck((watcher) => {
      watcher.close()
      order.push('check')
    })
    base.newTimer(() => order.push('timer')).add(1)
    await base.run()
    expect(order.toSorted()).toEqual(['check', 'microtask', 'prepare', 'tick', 'timer'])
    expect(order.indexOf('check')).toBe(3)
  })

  it('are called in the asynchronous context they were made in', async () => {
    const storage = new AsyncLocalStorage<string>()
    const base = openBase()
    const seen = new Set<string | undefined>()
    storage.run('prepare', () => base.onPrepare(() => seen.add(storage.getStore())))
    storage.run('check', () => base.onCheck(() => seen.add(storage.getStore())))
    base.newTimer(() => {}).add(1)
    await storage.run('run', () => base.run())
    expect([...seen]).toEqual(['prepare', 'check'])
  })

  it.each(['onPrepare', 'onCheck'] as const)('may close the base: %s', async (kind) => {
    const base = openBase()
    let count = 0
    base[kind](() => {
      count += 1
      base.close()
    })
    base[kind](never)
    base.newTimer(never).add(0)
    expect(await base.run()).toBe(LoopResult.STOPPED)
    expect(count).toBe(1)
  })

  it.each(['onPrepare', 'onCheck'] as const)('may end the loop and start another run: %s', async (kind) => {
    const base = openBase()
    const watcher = base[kind](() => base.loopBreak())
    let fired = false
    base.newTimer(() => (fired = true)).add(0)
    expect(await base.run()).toBe(LoopResult.STOPPED)
    expect(fired).toBe(false)
    watcher.close()
    expect(await base.run()).toBe(LoopResult.EMPTY)
    expect(fired).toBe(true)
  })

  it('do not keep the process alive by themselves', async () => {
    const base = openBase()
    base.onPrepare(never)
    base.onCheck(never)
    expect(await base.run()).toBe(LoopResult.EMPTY)
  })

  it('throw uncaught exceptions, and the run continues', async () => {
    const { code, stdout, stderr } = await runFixture('uncaught-watchers.mjs')
    expect(stderr).toBe('')
    expect(code).toBe(0)
    const { result, handled, order } = JSON.parse(stdout) as {
      result: number
      handled: string[]
      order: string[]
    }
    expect(result).toBe(LoopResult.EMPTY)
    expect(handled).toEqual(['prepare', 'check'])
    expect(order).toEqual(['prepare', 'check', 'timer'])
  })
})
